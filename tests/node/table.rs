//! Every server in every kind of workload. `make soak-node` runs it in about an hour.
//!
//! Each test is a row of a Markdown table. It prints the rows so far when it ends.

use crate::fixture::Fixture;
use crate::scenario::{Outcome, Scenario, Upset};
use crate::server::Server;
use crate::soak::soak;
use crate::workload::{Consent, Workload};
use futures::FutureExt;
use futures::future::join_all;
use kube_devops::policy::RemediationPhase;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The number of concurrent scenarios in all rows: limited by two cores and the addresses of a node.
const AT_ONCE: u32 = 20;
static ROOM: Semaphore = Semaphore::const_new(AT_ONCE as usize);
/// The time after the verdict in which harm would show that the probes do at once.
const WATCH: Duration = Duration::from_mins(1);
/// The time after the verdict for servers that fail later.
const LONG_WATCH: Duration = Duration::from_mins(6);

/// Declares a test for each row.
macro_rules! rows {
    ($($name:ident: $row:expr,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs a node and an hour: make soak-node"]
        async fn $name() {
            run($row).await;
        }
    )*};
}

rows! {
    a_server_that_listens_at_once: Row::of(Server::listens()),
    a_server_that_listens_after_20_s: Row::slow(Server::listens_after("listens after 20 s", secs(20))),
    a_server_that_listens_after_90_s: Row::slow(Server::listens_after("listens after 90 s", secs(90))),
    a_server_on_localhost_only: Row::of(Server::listens_locally()),
    a_server_that_never_listens: Row::of(Server::never_listens()),
    a_server_on_udp: Row::of(Server::listens_for_datagrams()),
    a_server_with_a_metrics_port_first: Row::of(Server::metrics_first()),
    // Many clients that shake hands at once would measure the machine.
    a_server_that_speaks_tls: Row { control: Server::tls(), at_once: 2, ..Row::of(Server::tls()) },
    a_server_with_a_single_accept: Row::of(Server::single_accept()),
    a_server_that_dies_of_empty_connections: Row::failing(Server::dies_of_empty_connections()),
    a_server_that_leaks_on_empty_connections: Row::failing(Server::leaks_on_empty_connections()),
    a_server_that_hangs_at_100_s: Row::failing(Server::hangs_after("hangs at 100 s", secs(100))),
    a_server_that_pauses_for_45_s: Row::failing(Server::pauses("pauses for 45 s at 100 s", secs(100), secs(45))),
    a_server_that_needs_30_s_to_stop: Row::of(Server::stops_after("needs 30 s to stop", secs(30))),
    a_server_that_outgrows_its_memory: Row::failing(Server::outgrows_its_memory(secs(150))),
    a_quorum: Row { upset: Some(Upset::ColdStart), ..Row::failing(Server::quorum(3)) },
    a_replay_of_330_s: Row::replay(),
    a_server_that_restarts_once: Row::of(Server::restarts_once()),
}

struct Row {
    server: Server,
    /// The healthy server that nobody changes, to measure what a busy machine loses.
    control: Server,
    patience: Duration,
    upset: Option<Upset>,
    watch: Duration,
    /// The number of concurrent scenarios of this row.
    at_once: u32,
}

impl Row {
    fn of(server: Server) -> Self {
        Self {
            server,
            control: Server::listens(),
            patience: secs(20),
            upset: None,
            watch: WATCH,
            at_once: AT_ONCE,
        }
    }

    /// A server that fails some time after its start.
    fn failing(server: Server) -> Self {
        Self { watch: LONG_WATCH, ..Self::of(server) }
    }

    /// A server that crashes and replays for longer than a startup probe allows.
    fn replay() -> Self {
        let server = Server::replays("replays for 330 s", secs(330));
        Self { upset: Some(Upset::Crash), watch: secs(420), ..Self::of(server) }
    }

    /// A server that is slow to answer.
    fn slow(server: Server) -> Self {
        Self { patience: Duration::from_mins(2), ..Self::of(server) }
    }
}

/// Runs a row and prints it. Panics if a workload that is patched by default lost more than is allowed, or if a workload
/// isn't served after its upset.
async fn run(row: Row) {
    assert!(soak(), "the table takes an hour: set KUBE_DEVOPS_SOAK=1, as `make soak-node` does");
    let workloads = Workload::all();
    let control = Arc::new(Fixture::control(&row.control).await);
    // A quorum needs three pods, and only a StatefulSet has them.
    let has_members =
        |workload: &Workload| row.upset != Some(Upset::ColdStart) || workload.has_three_members();
    let cells = workloads.iter().map(async |workload| {
        if !has_members(workload) {
            return Ok(None);
        }
        let _room = ROOM.acquire_many(AT_ONCE / row.at_once).await.expect("the semaphore is never closed");
        let scenario = Scenario::new(workload.clone(), row.server.clone())
            .beside(&control)
            .patience(row.patience)
            .then(row.upset, row.watch);
        // A panic in a scenario affects only its cell of the row.
        let cell = AssertUnwindSafe(scenario.run()).catch_unwind().await.map(Some);
        if let Ok(Some(outcome)) = &cell {
            println!("{} | {} | {outcome:?}", row.server.name, workload.name);
        }
        cell
    });
    let cells = join_all(cells).await;
    let texts: Vec<_> = cells
        .iter()
        .map(|cell| match cell {
            Ok(None) => "-".to_owned(),
            Ok(Some(outcome)) => text(outcome),
            Err(_) => "no end".to_owned(),
        })
        .collect();
    print(row.server.name, texts.join(" | "));
    let mut broken = Vec::new();
    for (workload, cell) in workloads.iter().zip(&cells) {
        match cell {
            Ok(Some(outcome)) => {
                let is_bound = workload.consent() == Consent::Nothing;
                if (is_bound && !outcome.holds_bound()) || (row.upset.is_some() && !outcome.is_served) {
                    broken.push(format!("{}: {outcome:#?}", workload.name));
                }
            }
            Err(_) => broken.push(format!("{}: the panic is above", workload.name)),
            Ok(None) => {}
        }
    }
    assert!(broken.is_empty(), "{}: {}", row.server.name, broken.join("\n"));
}

/// Prints the rows so far, in the order of their servers.
fn print(server: &'static str, cells: String) {
    static ROWS: Mutex<BTreeMap<&str, String>> = Mutex::new(BTreeMap::new());
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    rows.insert(server, cells);
    let columns: Vec<_> = Workload::all().iter().map(|workload| workload.name).collect();
    println!("\n| server | {} |\n|---{}|", columns.join(" | "), "|---".repeat(columns.len()));
    for (server, cells) in rows.iter() {
        println!("| {server} | {cells} |");
    }
}

/// Returns failed requests / restarts of the owner's worst restart, of enforcement and of the time after it, and the
/// last verdict. The number in parentheses is what the control lost during enforcement.
fn text(outcome: &Outcome) -> String {
    let verdict = match outcome.last.phase() {
        None => "not patched",
        Some(RemediationPhase::Verified) => "verified",
        Some(RemediationPhase::Withdrawn) => "withdrawn",
        Some(_) => "failed",
    };
    let Outcome { enforced, noise, later, .. } = outcome;
    format!("{}; {enforced} ({noise}); {later}, {verdict}", outcome.worst())
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
