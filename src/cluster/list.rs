//! Lists all pods page by page. The caller decides what to keep of a page, so memory stays flat.

use super::paging::PageText;
use super::{CallError, Cluster};
use futures::{StreamExt, stream};
use http::Request;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Resource;
use kube::api::ListParams;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::task::AbortOnDropHandle;

#[cfg(test)]
mod tests;

/// The maximum number of namespaces that are listed at the same time.
const CONCURRENT: usize = 4;
/// Maximum number of times that a list starts over because its continue token expired.
const RESTARTS: usize = 3;

/// The pods to list.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// The namespaces; all if empty.
    pub namespaces: Vec<String>,
    /// A label selector, as the API server reads it.
    pub selector: Option<String>,
}

/// The result of a list, and everything that could not be read.
#[derive(Clone, Debug)]
pub struct Listing<S> {
    /// One accumulator for each list with at least one page.
    pub parts: Vec<S>,
    /// The failures. The parts are complete only if this is empty.
    pub unread: Vec<ListFailure>,
    /// The namespaces that were skipped on purpose.
    pub skipped: Vec<String>,
}

/// A failed action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFailure {
    /// The action, such as `list pods in namespace "shop"`.
    pub what: String,
    /// The cause and the fix.
    pub message: String,
}

impl ListFailure {
    fn new(what: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { what: what.into(), message: message.to_string() }
    }
}

impl fmt::Display for ListFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.message)
    }
}

/// The fields of a list that paging needs.
#[derive(Deserialize)]
struct Page<I> {
    #[serde(default)]
    metadata: PageMetadata,
    items: Option<Vec<I>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// The result of listing one path.
pub(super) struct Pages<S> {
    /// `None` if not even one page was read.
    pub(super) state: Option<S>,
    items: usize,
    pub(super) error: Option<CallError>,
}

/// Lists pods and passes the JSON text of every page, a `PodList`, to `page`.
///
/// If the cluster-wide list is refused, it lists namespace by namespace, without those that `skip` accepts. Each of up
/// to four concurrent lists holds two pages and the state that `page` keeps.
pub async fn list_pods<S>(
    cluster: &Cluster,
    request: &ListRequest,
    skip: impl Fn(&str) -> bool,
    new: impl Fn() -> S,
    page: impl Fn(&mut S, &str) -> Result<(), serde_json::Error>,
) -> Listing<S> {
    let lister = Lister { cluster, selector: request.selector.as_deref(), new: &new, page: &page };
    if !request.namespaces.is_empty() {
        let mut namespaces = request.namespaces.clone();
        namespaces.sort();
        namespaces.dedup();
        return lister.each(namespaces, true).await;
    }
    let Pages { state, error, .. } = lister.pages(None).await;
    match (state, error) {
        (None, Some(error)) if error.code() == Some(403) => lister.fall_back(&error, skip).await,
        (state, error) => Listing {
            parts: state.into_iter().collect(),
            unread: error.map(|error| ListFailure::new(what(None), error)).into_iter().collect(),
            skipped: Vec::new(),
        },
    }
}

fn what(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("list pods in namespace {namespace:?}"),
        None => "list pods in all namespaces".to_owned(),
    }
}

/// Returns true for a valid namespace name. Names become part of a URL path, so other text must not get there.
pub fn is_namespace_name(namespace: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.copied().is_some_and(word);
    let bytes = namespace.as_bytes();
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|byte| word(*byte) || *byte == b'-')
}

impl Cluster {
    /// Returns true if a namespace is known not to exist. Without the right to read it the answer is false, as with
    /// kubectl.
    pub async fn lacks_namespace(&self, name: &str) -> bool {
        let path = format!("{}/{name}", Namespace::url_path(&(), None));
        let get = async |client: kube::Client| {
            let request = Request::get(&path).body(Vec::new()).map_err(kube::Error::HttpError)?;
            client.request_text(request).await
        };
        self.call(get).await.is_err_and(|error| error.code() == Some(404))
    }
}

struct Lister<'a, N, P> {
    cluster: &'a Cluster,
    selector: Option<&'a str>,
    new: &'a N,
    page: &'a P,
}

impl<S, N, P> Lister<'_, N, P>
where
    N: Fn() -> S,
    P: Fn(&mut S, &str) -> Result<(), serde_json::Error>,
{
    /// Lists the pods of one namespace, or of all.
    async fn pages(&self, namespace: Option<&str>) -> Pages<S> {
        let path = Pod::url_path(&(), namespace);
        pages(self.cluster, &path, self.selector, Content::Whole, self.new, self.page).await
    }

    /// Lists namespace by namespace. `named` is true if the user named them.
    async fn each(&self, namespaces: Vec<String>, named: bool) -> Listing<S> {
        let down = AtomicBool::new(false);
        let read = async |(index, namespace): (usize, String)| {
            (index, self.namespace(&namespace, named, &down).await)
        };
        let lists = namespaces.into_iter().enumerate().map(read);
        let mut lists: Vec<_> = stream::iter(lists).buffer_unordered(CONCURRENT).collect().await;
        lists.sort_by_key(|(index, _)| *index);
        let mut listing = Listing { parts: Vec::new(), unread: Vec::new(), skipped: Vec::new() };
        for (_, (state, unread)) in lists {
            listing.parts.extend(state);
            listing.unread.extend(unread);
        }
        listing
    }

    async fn namespace(
        &self,
        name: &str,
        named: bool,
        down: &AtomicBool,
    ) -> (Option<S>, Option<ListFailure>) {
        let unread = |message: &dyn fmt::Display| Some(ListFailure::new(what(Some(name)), message));
        if !is_namespace_name(name) {
            return (None, unread(&"that is no name for a namespace"));
        }
        // One timeout is enough: hundreds of them would add up to hours.
        if down.load(Ordering::Relaxed) {
            return (None, unread(&"not tried, the API server had already failed to answer"));
        }
        let Pages { state, items, error } = self.pages(Some(name)).await;
        if let Some(error) = error {
            if error.is_general() {
                down.store(true, Ordering::Relaxed);
            }
            return (state, unread(&error));
        }
        if named && items == 0 && self.cluster.lacks_namespace(name).await {
            return (None, unread(&format_args!("namespace {name:?} not found")));
        }
        (state, None)
    }

    /// Lists the namespaces that can be found, after the cluster-wide list was refused.
    async fn fall_back(&self, refused: &CallError, skip: impl Fn(&str) -> bool) -> Listing<S> {
        let path = Namespace::url_path(&(), None);
        let found =
            pages(self.cluster, &path, None, Content::Whole, Vec::new, |names: &mut Vec<String>, text| {
                let page: Page<Named> = serde_json::from_str(text)?;
                names.extend(page.items.into_iter().flatten().map(|namespace| namespace.metadata.name));
                Ok(())
            })
            .await;
        let mut names = found.state.unwrap_or_default();
        let mut unread = None;
        if let Some(error) = found.error {
            if error.code() == Some(403) {
                let own = &self.cluster.default_namespace;
                let tried = if skip(own) {
                    format!("none was tried, because the context's own, {own:?}, is left out")
                } else {
                    format!("only {own:?} was tried, the context's own")
                };
                unread = Some(ListFailure::new(
                    what(None),
                    format_args!("{refused}. Nor may namespaces be listed, so {tried}: name others with -n"),
                ));
                names = vec![own.clone()];
            } else {
                unread = Some(ListFailure::new("list namespaces", error));
            }
        }
        let (skipped, names) = names.into_iter().partition(|name| skip(name));
        let mut listing = Listing { skipped, ..self.each(names, false).await };
        listing.unread.splice(0..0, unread);
        listing
    }
}

/// The part of each object that a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// The whole object.
    Whole,
    /// The metadata alone.
    Metadata,
}

/// Reads a list to its end, and starts over if its continue token expires.
///
/// The next page is requested while one is being read.
pub(super) async fn pages<S>(
    cluster: &Cluster,
    path: &str,
    selector: Option<&str>,
    content: Content,
    new: impl Fn() -> S,
    page: impl Fn(&mut S, &str) -> Result<(), serde_json::Error>,
) -> Pages<S> {
    let unreadable = |error: serde_json::Error| CallError::Body {
        server: cluster.server.clone(),
        message: error.to_string(),
    };
    let fetch = |token: Option<String>| {
        let params = ListParams {
            limit: Some(cluster.paging.objects),
            continue_token: token,
            label_selector: selector.map(str::to_owned),
            ..ListParams::default()
        };
        AbortOnDropHandle::new(tokio::spawn(get(cluster.clone(), path.to_owned(), content, params)))
    };
    let mut pages = Pages { state: None, items: 0, error: None };
    let mut restarts = 0;
    let mut coming = fetch(None);
    loop {
        let fetched = match coming.await {
            Ok(fetched) => fetched,
            Err(panic) => resume_unwind(panic.into_panic()),
        };
        let PageText { text, .. } = &match fetched {
            Ok(page) => page,
            Err(error) if error.code() == Some(410) && restarts < RESTARTS => {
                restarts += 1;
                pages = Pages { state: None, items: 0, error: None };
                coming = fetch(None);
                continue;
            }
            Err(error) => return Pages { error: Some(error), ..pages },
        };
        let head: Page<IgnoredAny> = match serde_json::from_str(text) {
            Ok(head) => head,
            Err(error) => return Pages { error: Some(unreadable(error)), ..pages },
        };
        let token = head.metadata.token.filter(|token| !token.is_empty());
        let next = token.map(|token| fetch(Some(token)));
        let is_first = pages.state.is_none();
        if let Err(error) = page(pages.state.get_or_insert_with(&new), text) {
            // A list without a single page has no state to show.
            let state = pages.state.filter(|_| !is_first);
            return Pages { state, items: pages.items, error: Some(unreadable(error)) };
        }
        pages.items += head.items.map_or(0, |items| items.len());
        match next {
            Some(next) => coming = next,
            None => return pages,
        }
    }
}

async fn get(
    cluster: Cluster,
    path: String,
    content: Content,
    params: ListParams,
) -> Result<PageText, CallError> {
    let get = async |client: kube::Client| {
        let request = kube::core::Request::new(&*path);
        let request = match content {
            Content::Whole => request.list(&params),
            Content::Metadata => request.list_metadata(&params),
        };
        cluster.paging.get(&client, request.map_err(kube::Error::BuildRequest)?).await
    };
    cluster.call(get).await
}
