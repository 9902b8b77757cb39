//! A law over random schedules: whatever happens to three replicas and their links, no two may write at once, and in
//! the end one leads.

use super::super::*;
use super::fake::{Fault, Link, Store};
use super::pausable;
use proptest::prelude::*;
use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

const REPLICAS: usize = 3;

/// An event in the life of one replica.
#[derive(Clone, Debug)]
enum Incident {
    /// Its link has this fault for this long.
    Fault(Fault, Duration),
    /// It is stopped and continued, as by SIGSTOP and SIGCONT.
    Pause(Duration),
    /// It is killed and started again.
    Kill,
    /// It is shut down, and started again.
    Terminate,
}

/// The part of a replica that survives its process.
#[derive(Clone)]
struct Machine {
    link: Link,
    paused_until: Arc<Mutex<Instant>>,
    kill: Arc<Mutex<CancellationToken>>,
    terminate: Arc<Mutex<CancellationToken>>,
    leadership: Arc<Mutex<Leadership>>,
}

/// The identity of each writer, one entry per step of a write.
type Steps = Arc<Mutex<Vec<String>>>;

fn incident() -> impl Strategy<Value = Incident> {
    let millis = |most: u64| (0..most).prop_map(Duration::from_millis);
    let fault = (millis(4_000), millis(4_000), 0..8_u8).prop_map(|(there, back, kind)| match kind {
        0 | 1 => Fault::Hang,
        2 => Fault::Refuse,
        3 => Fault::Deaf,
        4 => Fault::Mute,
        _ => Fault::Slow { there, back },
    });
    prop_oneof![
        6 => (fault, millis(25_000)).prop_map(|(fault, length)| Incident::Fault(fault, length)),
        3 => millis(40_000).prop_map(Incident::Pause),
        1 => Just(Incident::Kill),
        1 => Just(Incident::Terminate),
    ]
}

/// Writes all the time, one step each tenth of a second.
async fn write(leadership: Leadership, identity: String, steps: Steps) {
    loop {
        let _ = leadership
            .write(async {
                for _ in 0..fastrand::u8(1..40) {
                    steps.lock().unwrap().push(identity.clone());
                    sleep(Duration::from_millis(100)).await;
                }
            })
            .await;
        sleep(Duration::from_millis(100)).await;
    }
}

/// Restarts the replica's process again and again, as a kubelet does.
async fn supervise(store: Store, machine: Machine, steps: Steps) {
    loop {
        let settings = Settings::new("ns", "lease", "pod");
        let identity = settings.identity.clone();
        let (elector, leadership) = Elector::new(store.client(&machine.link), settings).unwrap();
        *machine.leadership.lock().unwrap() = leadership.clone();
        let [kill, terminate] = [&machine.kill, &machine.terminate].map(|token| {
            let mut token = token.lock().unwrap();
            *token = CancellationToken::new();
            token.clone()
        });
        let process = async {
            tokio::select! {
                _ = elector.run(terminate.cancelled()) => {}
                () = write(leadership, identity, steps.clone()) => {}
            }
        };
        tokio::select! {
            () = pausable(process, machine.paused_until.clone()) => {}
            () = kill.cancelled() => {}
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn play(schedule: Vec<(Duration, usize, Incident)>) {
    let (store, steps) = (Store::new(), Steps::default());
    let machines: [Machine; REPLICAS] = std::array::from_fn(|_| Machine {
        link: Link::default(),
        paused_until: Arc::new(Mutex::new(Instant::now())),
        kill: Arc::default(),
        terminate: Arc::default(),
        leadership: Arc::new(Mutex::new(Keeper::new().1)),
    });
    for machine in &machines {
        tokio::spawn(supervise(store.clone(), machine.clone(), steps.clone()));
    }
    let watched = machines.clone();
    let leaders = move || {
        watched.iter().filter(|machine| machine.leadership.lock().unwrap().permit().is_some()).count()
    };
    let incidents = async {
        for (after, replica, incident) in schedule {
            sleep(after).await;
            let machine = machines[replica].clone();
            match incident {
                Incident::Pause(length) => *machine.paused_until.lock().unwrap() = Instant::now() + length,
                Incident::Kill => machine.kill.lock().unwrap().cancel(),
                Incident::Terminate => machine.terminate.lock().unwrap().cancel(),
                Incident::Fault(fault, length) => {
                    machine.link.set(fault);
                    tokio::spawn(async move {
                        sleep(length).await;
                        machine.link.set(Fault::None);
                    });
                }
            }
        }
        // All faults end after 40 s, and an abandoned lease expires within 16 s more.
        sleep(Duration::from_secs(70)).await;
    };
    let mut incidents = pin!(incidents);
    while timeout(Duration::from_millis(20), incidents.as_mut()).await.is_err() {
        assert!(leaders() <= 1, "two permits at once");
    }
    assert_eq!(leaders(), 1, "in the end one leads");
    let mut steps = std::mem::take(&mut *steps.lock().unwrap());
    assert!(!steps.is_empty());
    steps.dedup();
    let writers: HashSet<_> = steps.iter().collect();
    assert_eq!(writers.len(), steps.len(), "nobody writes again after another has: {steps:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_two_writers_and_in_the_end_one(
        schedule in prop::collection::vec(
            ((0..8_000_u64).prop_map(Duration::from_millis), 0..REPLICAS, incident()),
            0..25,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(schedule));
    }
}
