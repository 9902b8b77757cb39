//! The exec plugins of several connections: those with the same server and user share one run.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::credentials::PluginCredentials;
use super::exec::Plugin;

/// The credentials of plugins. Clones share them.
#[derive(Clone, Default)]
pub struct SharedPlugins(Arc<Mutex<Vec<SharedPlugin>>>);

struct SharedPlugin {
    server: String,
    plugin: Plugin,
    credentials: Arc<PluginCredentials>,
}

impl SharedPlugins {
    /// Returns the credentials of a plugin for a server, which is not run yet.
    pub(super) fn credentials(&self, server: &str, plugin: Plugin) -> Arc<PluginCredentials> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.iter().find(|shared| shared.server == server && shared.plugin == plugin) {
            return Arc::clone(&shared.credentials);
        }
        let credentials = PluginCredentials::new(plugin.clone());
        known.push(SharedPlugin { server: server.to_owned(), plugin, credentials: Arc::clone(&credentials) });
        credentials
    }
}

impl fmt::Debug for SharedPlugins {
    // Arguments and variables of plugins may be secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedPlugins").finish_non_exhaustive()
    }
}
