//! The size of a list's pages, and the number of pages that lists in many clusters hold at once.

use std::sync::Arc;
use std::time::Duration;

use futures::AsyncReadExt as _;
use http::Request;
use kube::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The objects of a page, unless fewer are asked for.
const OBJECTS: u32 = 500;
/// The longest wait of a page for its turn. Slow clusters cannot hold up others for longer.
const WAIT: Duration = Duration::from_secs(1);

/// The paging of lists.
#[derive(Clone, Debug)]
pub struct Paging {
    /// The most objects of a page.
    pub(super) objects: u32,
    /// The turns to hold a page; `None` without a bound.
    turns: Option<Arc<Semaphore>>,
}

/// The text of a page, which holds its turn.
#[derive(Debug)]
pub(super) struct PageText {
    pub(super) text: String,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Default for Paging {
    fn default() -> Self {
        Self { objects: OBJECTS, turns: None }
    }
}

impl Paging {
    /// Bounds the pages that the lists of all clusters with a clone of this value hold at once.
    ///
    /// The bound is soft: a page that waited for its turn for a second is read without it.
    pub fn shared(objects: u32, pages: usize) -> Self {
        Self { objects, turns: Some(Arc::new(Semaphore::new(pages))) }
    }

    /// Sends a request and reads the answer. The wait for the answer takes no turn, so all clusters can be waited for at
    /// once.
    pub(super) async fn get(&self, client: &Client, request: Request<Vec<u8>>) -> kube::Result<PageText> {
        let mut body = std::pin::pin!(client.request_stream(request).await?);
        let turn = match &self.turns {
            Some(turns) => timeout(WAIT, Arc::clone(turns).acquire_owned()).await.ok().and_then(Result::ok),
            None => None,
        };
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).await.map_err(kube::Error::ReadEvents)?;
        let text = String::from_utf8(bytes).map_err(kube::Error::FromUtf8)?;
        Ok(PageText { text, _turn: turn })
    }
}
