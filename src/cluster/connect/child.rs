//! The process of an exec plugin, which does not outlive the command that waits for it.

use std::io;
use std::process::Output;

use tokio::process::{Child, Command};

/// A process that is killed when this is dropped before it has ended.
pub(super) struct PluginProcess {
    child: Child,
    group: KilledGroup,
}

impl PluginProcess {
    /// Starts a command. In a process group of its own, the processes that it starts are killed with it. At a terminal
    /// it has to stay in the group of this process, which gets the signal of Ctrl-C.
    pub(super) fn spawn(command: &mut Command, in_own_group: bool) -> io::Result<Self> {
        command.kill_on_drop(true);
        #[cfg(unix)]
        if in_own_group {
            command.process_group(0);
        }
        let child = command.spawn()?;
        let group = KilledGroup(child.id().filter(|_| in_own_group));
        Ok(Self { child, group })
    }

    /// Waits for the end of the process, and returns what it printed. What it left running in the background stays.
    pub(super) async fn output(self) -> io::Result<Output> {
        let Self { child, mut group } = self;
        let output = child.wait_with_output().await?;
        group.0 = None;
        Ok(output)
    }
}

/// The leader of a process group that is killed when this is dropped.
struct KilledGroup(Option<u32>);

impl Drop for KilledGroup {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(leader) = self.0.and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?)) {
            // It fails if all processes of the group have ended.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}
