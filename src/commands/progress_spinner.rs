//! A sign of life on stderr for work that takes longer than a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::ProgressBar;

/// Shows how much has been read, from one second on and only on a terminal, until it is dropped.
pub(super) struct ProgressSpinner {
    read: Arc<AtomicU64>,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressSpinner {
    /// Starts to wait for the first second to pass.
    pub(super) fn start() -> Self {
        let (end, ended) = mpsc::channel();
        let read = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&read);
        let thread = thread::spawn(move || {
            let mut wait = Duration::from_secs(1);
            let mut spinner: Option<ProgressBar> = None;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = Duration::from_millis(100);
                let spinner = spinner.get_or_insert_with(ProgressBar::new_spinner);
                spinner.set_message(format!("{} objects read", counter.load(Ordering::Relaxed)));
                spinner.tick();
            }
            if let Some(spinner) = spinner {
                spinner.finish_and_clear();
            }
        });
        Self { read, end: Some(end), thread: Some(thread) }
    }

    /// Counts objects that were read.
    pub(super) fn add(&self, objects: u64) {
        self.read.fetch_add(objects, Ordering::Relaxed);
    }
}

impl Drop for ProgressSpinner {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            // A thread that failed to draw has nothing to report.
            let _ = thread.join();
        }
    }
}
