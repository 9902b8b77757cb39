//! The size of a list's pages, and the number of pages that lists in many clusters hold at once.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt as _};
use http::Request;
use kube::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The objects of a page, unless fewer are asked for.
const OBJECTS: u32 = 500;
/// The longest time for which the transfer of a page keeps its turn. Slow clusters cannot hold up others for longer.
const TRANSFER: Duration = Duration::from_millis(500);

/// The paging of lists.
#[derive(Clone, Debug)]
pub struct Paging {
    /// The most objects of a page.
    pub(super) objects: u32,
    /// The turns to hold a page; `None` without a bound.
    turns: Option<Arc<Turns>>,
}

/// The turns to hold a page, and the buffers of pages.
#[derive(Debug)]
struct Turns {
    free: Arc<Semaphore>,
    /// The number of turns.
    pages: usize,
    /// The buffers of former pages. Buffers of some megabytes that are made and dropped again and again leave holes in
    /// the heap.
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// The text of a page, which holds its turn.
#[derive(Debug)]
pub(super) struct PageText {
    pub(super) text: String,
    _turn: Option<OwnedSemaphorePermit>,
    turns: Option<Arc<Turns>>,
}

impl Drop for PageText {
    fn drop(&mut self) {
        if let Some(turns) = &self.turns {
            turns.keep(std::mem::take(&mut self.text).into_bytes());
        }
    }
}

impl Turns {
    /// Returns the buffer of a former page, or a new one.
    fn buffer(&self) -> Vec<u8> {
        self.buffers().pop().unwrap_or_default()
    }

    /// Keeps a buffer for another page, unless there are enough of them.
    fn keep(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers();
        if buffers.len() < self.pages {
            buffer.clear();
            buffers.push(buffer);
        }
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Paging {
    fn default() -> Self {
        Self { objects: OBJECTS, turns: None }
    }
}

impl Paging {
    /// Bounds the pages that the lists of all clusters with a clone of this value hold at once.
    ///
    /// Pages that arrive slowly are not counted; little of them is in memory.
    pub fn shared(objects: u32, pages: usize) -> Self {
        let free = Arc::new(Semaphore::new(pages));
        Self { objects, turns: Some(Arc::new(Turns { free, pages, buffers: Mutex::default() })) }
    }

    /// Sends a request and reads the answer. The wait for the answer takes no turn, so all clusters can be waited for at
    /// once.
    pub(super) async fn get(&self, client: &Client, request: Request<Vec<u8>>) -> kube::Result<PageText> {
        let mut body = std::pin::pin!(client.request_stream(request).await?);
        let mut turn = match &self.turns {
            Some(turns) => Arc::clone(&turns.free).acquire_owned().await.ok(),
            None => None,
        };
        let mut bytes = self.turns.as_ref().map(|turns| turns.buffer()).unwrap_or_default();
        let read = {
            let mut transfer = std::pin::pin!(read_to_end(&mut body, &mut bytes));
            if let Ok(read) = timeout(TRANSFER, &mut transfer).await {
                read
            } else {
                turn = None;
                transfer.await
            }
        };
        read.map_err(kube::Error::ReadEvents)?;
        let text = String::from_utf8(bytes).map_err(kube::Error::FromUtf8)?;
        Ok(PageText { text, _turn: turn, turns: self.turns.clone() })
    }
}

/// Reads a body to its end. That of futures fills all free space of the buffer with zeros whenever it waited.
async fn read_to_end(body: &mut (impl AsyncBufRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let part = body.fill_buf().await?;
        if part.is_empty() {
            return Ok(());
        }
        bytes.extend_from_slice(part);
        let length = part.len();
        body.consume_unpin(length);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;

    use super::*;

    /// Returns a client whose answers begin at once. Bodies with a path of `/slow` never end.
    fn client() -> Client {
        let answer = |request: http::Request<kube::client::Body>| async move {
            let chunk = stream::iter([Ok::<_, std::io::Error>("page".to_owned())]);
            let body = if request.uri().path() == "/slow" {
                Body::from_stream(futures::StreamExt::chain(chunk, stream::pending()))
            } else {
                Body::from_stream(chunk)
            };
            Ok::<_, std::convert::Infallible>(http::Response::new(body))
        };
        Client::new(tower::service_fn(answer), "default")
    }

    fn request(path: &str) -> Request<Vec<u8>> {
        Request::get(path).body(Vec::new()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_waits_until_another_one_is_dropped() {
        let (client, paging) = (client(), Paging::shared(10, 1));
        let first = paging.get(&client, request("/")).await.unwrap();
        assert_eq!(first.text, "page");
        let mut second = std::pin::pin!(paging.get(&client, request("/")));
        assert!(timeout(Duration::from_mins(1), &mut second).await.is_err(), "the first one has the turn");
        drop(first);
        assert_eq!(second.await.unwrap().text, "page");
    }

    #[tokio::test(start_paused = true)]
    async fn the_buffer_of_a_page_is_that_of_a_former_one() {
        let (client, paging) = (client(), Paging::shared(10, 2));
        let first = paging.get(&client, request("/")).await.unwrap();
        let place = first.text.as_ptr();
        drop(first);
        let second = paging.get(&client, request("/")).await.unwrap();
        assert_eq!((second.text.as_str(), second.text.as_ptr()), ("page", place));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_page_holds_up_no_other_one() {
        let (client, paging) = (client(), Paging::shared(10, 1));
        let mut slow = std::pin::pin!(paging.get(&client, request("/slow")));
        assert!(timeout(TRANSFER / 2, &mut slow).await.is_err());
        let other = std::pin::pin!(paging.get(&client, request("/")));
        let both = futures::future::select(slow, other).await;
        let futures::future::Either::Right((Ok(page), _)) = both else { panic!("the slow one came first") };
        assert_eq!(page.text, "page");
    }
}
