//! A layer around a client that keeps watches from starting too soon after one another. It recognizes them by their
//! query.

use http::Request;
use kube::client::Body;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tower::service_fn;

/// Minimum time between the starts of two watches.
const APART: Duration = Duration::from_secs(1);

/// Makes a client that starts watches at least a second apart.
///
/// kube's watcher restarts a watch at once when it ends, which is right after minutes. If a proxy ends each watch as
/// soon as it has begun, the watcher would restart without any pause.
pub(super) fn paced(client: &kube::Client) -> kube::Client {
    let namespace = client.default_namespace().to_owned();
    let (client, next) = (client.clone(), Arc::new(Mutex::new(Instant::now())));
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        let turn = is_watch(&request).then(|| turn(&next));
        async move {
            if let Some(turn) = turn {
                sleep_until(turn).await;
            }
            client.send(request).await
        }
    });
    kube::Client::new(service, namespace)
}

fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

/// Reserves the next start time.
fn turn(next: &Mutex<Instant>) -> Instant {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    let turn = next.max(Instant::now());
    // The jitter spreads replicas that a proxy cut off together.
    *next = turn + APART.mul_f64(1.0 + fastrand::f64() / 2.0);
    turn
}
