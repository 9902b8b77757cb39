//! Repeats a read and a write that depends on it, when others wrote in between.

use std::time::Duration;

use tokio::time::sleep;

/// The most attempts.
const ATTEMPTS: u32 = 10;
/// The mean of the first pause. Each later one is twice as long, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Repeats an attempt while it fails with a conflict, up to ten times and within about three seconds of pauses. Returns
/// the last outcome.
///
/// The attempt takes its number, from 0. All but the first have to read the object again.
pub async fn retry_on_conflict<T, E, F>(
    attempt: impl Fn(u32) -> F,
    is_conflict: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pause = PAUSE;
    for number in 0..ATTEMPTS - 1 {
        match attempt(number).await {
            Err(error) if is_conflict(&error) => {}
            outcome => return outcome,
        }
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    attempt(ATTEMPTS - 1).await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_conflicts_are_retried_with_a_limit() {
        for (conflicts, then, attempts, expected) in [
            (0, Ok(7), 1, Ok(7)),
            (2, Ok(7), 3, Ok(7)),
            (2, Err("refused"), 3, Err("refused")),
            (100, Ok(7), 10, Err("conflict")),
        ] {
            let made = Cell::new(0);
            let attempt = async |number: u32| {
                made.set(number + 1);
                if number >= conflicts { then } else { Err("conflict") }
            };
            let outcome = retry_on_conflict(attempt, |error| *error == "conflict").await;
            assert_eq!((outcome, made.get()), (expected, attempts));
        }
    }
}
