//! The driver, with operations that need no server.

use super::*;

const WINDOW: Window = Window { warm_up: Duration::from_millis(50), duration: Duration::from_millis(200) };

/// Takes a millisecond, and answers as told.
struct Timed(Result<(), Failure>);

impl Operation for Timed {
    async fn call(&mut self) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0.clone()
    }
}

async fn run(clients: Vec<Timed>) -> Result<Load, Failure> {
    drive(clients, own_usage, WINDOW).await
}

#[tokio::test]
async fn counts_what_ends_inside_the_window() {
    let load = run(vec![Timed(Ok(())), Timed(Ok(()))]).await.unwrap();
    let sample = load.plain_sample();
    // Two clients, one operation a millisecond at most; a busy machine makes fewer.
    let throughput = sample.figures[&Metric::Throughput];
    assert!((1.0..=2_000.0).contains(&throughput), "{throughput}");
    assert!(sample.figures[&Metric::P50] >= 1_000.0);
    assert_eq!(sample.figures[&Metric::Errors], 0.0);
    let weighted = load.sample(10.0, load.latencies()).figures[&Metric::Throughput];
    assert!((weighted / throughput - 10.0).abs() < 1e-9);
}

#[tokio::test]
async fn errors_are_counted_beside_successes() {
    let load = run(vec![Timed(Ok(())), Timed(Err(Failure::broken("no")))]).await.unwrap();
    assert!(load.plain_sample().figures[&Metric::Errors] > 0.0);
}

#[tokio::test]
async fn a_run_without_a_success_fails_with_the_first_error() {
    let failure = run(vec![Timed(Err(Failure::broken("the first")))]).await.err().unwrap();
    assert_eq!(failure.to_string(), "the first");
}

#[tokio::test]
async fn what_is_not_offered_ends_the_run_at_once() {
    let refusal = Failure::NotOffered("later".to_owned());
    let begun = Instant::now();
    let failure = run(vec![Timed(Ok(())), Timed(Err(refusal))]).await.err().unwrap();
    assert!(matches!(failure, Failure::NotOffered(_)));
    assert!(begun.elapsed() < WINDOW.warm_up + WINDOW.duration);
}

#[test]
fn percentiles_are_exact_to_three_digits_and_long_latencies_are_cut() {
    let latencies = Latencies::new();
    for micros in 1..=100 {
        latencies.record(Duration::from_micros(micros * 100));
    }
    assert!((latencies.micros_at(0.5) / 5_000.0 - 1.0).abs() < 0.002);
    assert!((latencies.micros_at(0.99) / 9_900.0 - 1.0).abs() < 0.002);
    latencies.record(Duration::from_secs(1_000));
    assert!((latencies.micros_at(1.0) / 60e6 - 1.0).abs() < 0.002);
}
