//! The rest of the process's view of the election: a flag that says if it leads, and a fence around each write. It does
//! not know the Lease or the API.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Says if this replica leads. The handle is cheap to clone and never out of date.
#[derive(Clone, Debug)]
pub struct Leadership {
    seat: watch::Receiver<Seat>,
    writes: TaskTracker,
}

#[derive(Clone, Copy, Debug)]
enum Seat {
    /// Another replica leads, or none.
    Standby,
    Held(Window),
    /// The lease is being given up: no write starts, and running ones may end.
    Closing,
    /// The lease is lost, or the elector is gone: every write is cut off.
    Over,
}

/// The latest start and the latest end of a write.
#[derive(Clone, Copy, Debug)]
enum Window {
    /// There is no election.
    Always,
    Before {
        start: Instant,
        end: Instant,
    },
}

/// An error of a write that was refused or cut off.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum NotLeader {
    /// This replica does not lead, so the write did not start.
    #[error("not the leader: nothing was written")]
    Refused,
    /// The lease expired or was lost during the write. The write may or may not have taken effect.
    #[error("no longer the leader: the write was cut off and may or may not have been done")]
    CutOff,
}

impl NotLeader {
    /// Returns a bounded label for metrics and events.
    #[must_use]
    pub fn category(self) -> &'static str {
        match self {
            Self::Refused => "not_leader",
            Self::CutOff => "leadership_lost",
        }
    }
}

impl Leadership {
    /// Returns the leadership of a process that runs without an election.
    #[must_use]
    pub fn always() -> Self {
        Self { seat: watch::channel(Seat::Held(Window::Always)).1, writes: TaskTracker::new() }
    }

    /// Returns true if a write may start now. It reads the clock each time, so a process that was stopped notices at
    /// once.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.window().is_some()
    }

    /// Waits until this replica gains or loses the lease, and returns true if it leads. Never returns if neither can
    /// happen.
    pub async fn changed(&mut self) -> bool {
        if self.seat.changed().await.is_err() {
            pending::<()>().await;
        }
        self.is_leader()
    }

    /// Waits until this replica leads.
    pub async fn acquired(&mut self) {
        while !self.is_leader() {
            self.changed().await;
        }
    }

    /// Runs a write as [`Permit::run`] does. Refuses it if this replica does not lead.
    pub async fn write<F: Future>(&self, write: F) -> Result<F::Output, NotLeader> {
        self.permit().ok_or(NotLeader::Refused)?.run(write).await
    }

    /// Returns the right to one write. Take it just before the write: the lease is not released while a permit exists.
    #[must_use]
    pub fn permit(&self) -> Option<Permit> {
        // The token comes before the look at the seat: `drain` changes the seat first, so it sees every token.
        let token = self.writes.token();
        let window = self.window()?;
        Some(Permit { window, seat: self.seat.clone(), _token: token })
    }

    /// Returns the window of a write that starts now.
    fn window(&self) -> Option<Window> {
        match *self.seat.borrow() {
            Seat::Held(window) if window.is_open() => Some(window),
            _ => None,
        }
    }
}

impl Window {
    fn is_open(self) -> bool {
        match self {
            Self::Always => true,
            Self::Before { start, .. } => Instant::now() < start,
        }
    }
}

/// The right to one write.
#[derive(Debug)]
pub struct Permit {
    window: Window,
    seat: watch::Receiver<Seat>,
    _token: TaskTrackerToken,
}

impl Permit {
    /// Returns the deadline of a write, well before another replica can lead; none without an election.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.window {
            Window::Always => None,
            Window::Before { end, .. } => Some(end),
        }
    }

    /// Runs the write until it ends, its deadline passes, or the lease is lost.
    ///
    /// It reads the clock before each step of the future. A process that was stopped in the middle therefore sends no
    /// second request after it wakes.
    pub async fn run<F: Future>(mut self, write: F) -> Result<F::Output, NotLeader> {
        if !self.window.is_open() || matches!(*self.seat.borrow(), Seat::Closing | Seat::Over) {
            return Err(NotLeader::Refused);
        }
        let Some(deadline) = self.deadline() else { return Ok(write.await) };
        let mut write = pin!(write);
        let mut end = pin!(async {
            tokio::select! {
                () = sleep_until(deadline) => {}
                _ = self.seat.wait_for(|seat| matches!(seat, Seat::Over)) => {}
            }
        });
        poll_fn(|context| {
            if Instant::now() >= deadline || end.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(NotLeader::CutOff));
            }
            write.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

/// The elector's end of a [`Leadership`]. Dropping it cuts off every write.
#[derive(Debug)]
pub(super) struct Keeper {
    seat: watch::Sender<Seat>,
    writes: TaskTracker,
}

impl Keeper {
    pub(super) fn new() -> (Self, Leadership) {
        let (sender, seat) = watch::channel(Seat::Standby);
        let writes = TaskTracker::new();
        writes.close();
        (Self { seat: sender, writes: writes.clone() }, Leadership { seat, writes })
    }

    /// Sets the instants before which writes may start and must end. Only a change of the seat wakes waiters.
    pub(super) fn hold(&self, start: Instant, end: Instant) {
        let held = Seat::Held(Window::Before { start, end });
        self.seat.send_if_modified(|seat| !matches!(std::mem::replace(seat, held), Seat::Held(_)));
    }

    /// Lets no new write start, and waits for running ones.
    pub(super) async fn drain(&self) {
        self.seat.send_replace(Seat::Closing);
        self.writes.wait().await;
    }

    /// Ends every write.
    pub(super) fn end(&self) {
        self.seat.send_replace(Seat::Over);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::{advance, sleep};

    const SECOND: Duration = Duration::from_secs(1);

    fn held() -> (Keeper, Leadership) {
        let (keeper, leadership) = Keeper::new();
        keeper.hold(Instant::now() + 10 * SECOND, Instant::now() + 12 * SECOND);
        (keeper, leadership)
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_starts_only_within_the_renew_deadline() {
        let (_keeper, leadership) = held();
        let kept = leadership.permit().unwrap();
        assert_eq!(leadership.write(async { 1 }).await, Ok(1));
        advance(10 * SECOND).await;
        assert!(!leadership.is_leader());
        assert_eq!(leadership.write(async { 1 }).await, Err(NotLeader::Refused));
        assert_eq!(
            kept.run(async { 1 }).await,
            Err(NotLeader::Refused),
            "a permit that was kept is no way around"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_ends_before_the_lease_does() {
        let (_keeper, leadership) = held();
        let start = Instant::now();
        assert_eq!(leadership.write(pending::<()>()).await, Err(NotLeader::CutOff));
        assert_eq!(start.elapsed().as_secs(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_was_stopped_between_two_requests_sends_no_second_one() {
        let (_keeper, leadership) = held();
        let (wake, woken) = tokio::sync::oneshot::channel();
        let write = tokio::spawn(async move {
            let mut second = false;
            let outcome = leadership.write(async { woken.await.map(|()| second = true) }).await;
            (outcome, second)
        });
        tokio::task::yield_now().await;
        // The first answer arrives before any timer can fire, as after SIGCONT.
        wake.send(()).unwrap();
        advance(60 * SECOND).await;
        assert_eq!(write.await.unwrap(), (Err(NotLeader::CutOff), false));
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_waits_for_writes_and_lets_none_start() {
        let (keeper, leadership) = held();
        let (one, other) = (leadership.clone(), leadership.clone());
        let write = tokio::spawn(async move { one.write(sleep(SECOND)).await });
        tokio::task::yield_now().await;
        let start = Instant::now();
        let late = tokio::spawn(async move {
            sleep(SECOND / 2).await;
            other.write(async {}).await
        });
        keeper.drain().await;
        assert_eq!(start.elapsed().as_secs(), 1);
        assert_eq!((write.await.unwrap(), late.await.unwrap()), (Ok(()), Err(NotLeader::Refused)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_or_a_dead_elector_stops_every_write() {
        let (keeper, mut leadership) = held();
        let other = leadership.clone();
        let write = tokio::spawn(async move { other.write(pending::<()>()).await });
        tokio::task::yield_now().await;
        leadership.acquired().await;
        let start = Instant::now();
        drop(keeper);
        assert_eq!(write.await.unwrap(), Err(NotLeader::CutOff));
        assert!(!leadership.changed().await && start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn only_gaining_or_losing_the_lease_is_a_change() {
        let (keeper, mut leadership) = held();
        assert!(leadership.changed().await);
        keeper.hold(Instant::now() + 12 * SECOND, Instant::now() + 14 * SECOND);
        assert!(tokio::time::timeout(SECOND, leadership.changed()).await.is_err());
        advance(10 * SECOND).await;
        assert!(leadership.is_leader(), "a renewal moves the window");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_election_every_write_is_run() {
        let leadership = Leadership::always();
        advance(1_000_000 * SECOND).await;
        assert!(leadership.is_leader() && leadership.permit().unwrap().deadline().is_none());
        assert_eq!(leadership.write(async { 1 }).await, Ok(1));
    }
}
