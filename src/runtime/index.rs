//! The page at `/`, which links to every endpoint of a long-running command.

use std::fmt::Write as _;

use axum::Router;
use axum::response::Html;
use axum::routing::get;

/// The endpoints that every long-running command has.
const STANDARD: [(&str, &str); 3] = [
    ("metrics", "metrics in the text format of Prometheus"),
    ("healthz", "200 while the process runs"),
    ("readyz", "200 once everything has synced, else 503 with what is missing"),
];

/// The routes of a command, and the page that lists them.
#[derive(Debug)]
pub struct Index {
    title: &'static str,
    links: Vec<(&'static str, &'static str)>,
    routes: Router,
}

impl Index {
    /// Returns a page with this title for a command without routes of its own.
    #[must_use]
    pub fn new(title: &'static str) -> Self {
        Self { title, links: Vec::new(), routes: Router::new() }
    }

    /// Adds routes; `path`, without the leading slash, is the one to link to.
    #[must_use]
    pub fn and(mut self, routes: Router, path: &'static str, about: &'static str) -> Self {
        self.links.push((path, about));
        Self { routes: self.routes.merge(routes), ..self }
    }

    /// Returns the command's routes, the given ones and the page.
    pub(super) fn with(self, standard: Router) -> Router {
        let page = self.page();
        standard.merge(self.routes).route("/", get(|| async { Html(page) }))
    }

    /// The links are relative, so that they hold behind a proxy that adds a path.
    fn page(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{0}</title>\n<h1>{0}</h1>\n<ul>\n",
            self.title
        );
        for (path, about) in self.links.iter().chain(&STANDARD) {
            let _ = writeln!(page, "<li><a href=\"{path}\">/{path}</a>: {about}</li>");
        }
        page.push_str("</ul>\n");
        page
    }
}
