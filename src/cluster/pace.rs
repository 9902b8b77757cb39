//! Watches that don't follow one another too fast: a layer around a client that knows requests by their query only.

use http::Request;
use kube::client::Body;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tower::service_fn;

/// How far apart the beginnings of two watches are, at least.
const APART: Duration = Duration::from_secs(1);

/// Makes a client that starts a watch no sooner than a second after the one before.
///
/// kube's watcher starts a watch that has ended again at once, which is right after minutes. A proxy that ends each
/// one as soon as it has begun would be asked without any pause.
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

/// Takes the next turn.
fn turn(next: &Mutex<Instant>) -> Instant {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    let turn = next.max(Instant::now());
    // Replicas that a proxy cuts off together should not come back together.
    *next = turn + APART.mul_f64(1.0 + fastrand::f64() / 2.0);
    turn
}
