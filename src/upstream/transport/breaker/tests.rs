//! The breaker alone: every rule of it, and that no order of events breaks one.

use proptest::prelude::*;

use super::*;

const PAUSE: Duration = Duration::from_secs(2);

const ANN: Option<Asker> = Some(Asker(1));
const BOB: Option<Asker> = Some(Asker(2));
const CYD: Option<Asker> = Some(Asker(3));

/// A breaker, and the time.
struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { breaker: Breaker::new(PAUSE), now: Instant::now() }
    }

    fn later(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn fail(&mut self, asker: Option<Asker>) -> Option<Change> {
        let failed = Failed { asker, kind: FailureKind::ServerError, sent_at: self.now };
        self.breaker.failed(failed, self.now)
    }

    fn admits(&mut self, asker: Option<Asker>) -> bool {
        self.breaker.admit(asker, self.now).is_ok()
    }
}

fn opened() -> Bench {
    let mut bench = Bench::new();
    for n in 1..=ENOUGH {
        let change = bench.fail(None);
        let expected = (n == ENOUGH).then_some(Change::Opened { for_everybody: true });
        assert_eq!(change, expected, "failure {n}");
    }
    bench
}

#[test]
fn it_opens_after_enough_failures_in_a_row_and_not_before() {
    let mut bench = opened();
    assert_eq!(bench.breaker.state(), BreakerState::Open);
    assert_eq!(bench.breaker.admit(ANN, bench.now), Err(PAUSE));
    assert_eq!(bench.breaker.last_failure(), Some(FailureKind::ServerError));

    let mut bench = Bench::new();
    for _ in 0..10 {
        for _ in 1..ENOUGH {
            bench.fail(None);
        }
        bench.later(1);
        assert_eq!(bench.breaker.answered(bench.now), None);
    }
    assert!(bench.admits(None));
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
}

#[test]
fn one_request_in_each_pause_looks_and_an_answer_closes() {
    let mut bench = opened();
    for _ in 0..3 {
        bench.later(1_999);
        assert!(!bench.admits(ANN));
        bench.later(1);
        assert!(bench.admits(ANN));
        assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
        assert!(!bench.admits(BOB), "a second one while the first looks");
        assert_eq!(bench.fail(ANN), None);
        assert_eq!(bench.breaker.state(), BreakerState::Open);
    }
    // This one never comes back: the next may look all the same.
    bench.later(2_000);
    assert!(bench.admits(ANN));
    bench.later(2_000);
    assert!(bench.admits(BOB));
    let closed = bench.breaker.answered(bench.now);
    assert_eq!(closed, Some(Change::Closed(Duration::from_secs(10))));
    assert!(bench.admits(ANN) && bench.admits(BOB));
}

#[test]
fn one_askers_failures_stop_that_asker_only() {
    let mut bench = Bench::new();
    for _ in 1..ENOUGH {
        assert_eq!(bench.fail(ANN), None);
    }
    assert_eq!(bench.fail(ANN), Some(Change::Opened { for_everybody: false }));
    for _ in 0..100 {
        assert_eq!(bench.fail(ANN), None);
    }
    assert!(!bench.admits(ANN));
    assert!(bench.admits(BOB) && bench.admits(BOB) && bench.admits(None));
    assert_eq!(bench.breaker.state(), BreakerState::Closed, "for everybody");
    // One mishap of another is no outage; two are, after all those of Ann.
    assert_eq!(bench.fail(BOB), None);
    assert!(bench.admits(CYD));
    assert_eq!(bench.fail(CYD), Some(Change::Opened { for_everybody: true }));
    assert!(!bench.admits(BOB));
}

#[test]
fn what_was_sent_before_the_last_answer_no_longer_counts() {
    let mut bench = Bench::new();
    let sent_at = bench.now;
    bench.later(10);
    bench.breaker.answered(bench.now);
    bench.later(20_000);
    for _ in 0..100 {
        let failed = Failed { asker: None, kind: FailureKind::TimedOut, sent_at };
        assert_eq!(bench.breaker.failed(failed, bench.now), None);
    }
    assert!(bench.admits(None));
}

#[derive(Debug, Clone)]
enum Event {
    Later(u64),
    Asks(u64),
    Answered,
    Failed(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0_u64..3_000).prop_map(Event::Later),
        4 => (0_u64..4).prop_map(Event::Asks),
        1 => Just(Event::Answered),
        6 => (0_u64..4).prop_map(Event::Failed),
    ]
}

fn asker(number: u64) -> Option<Asker> {
    (number > 0).then_some(Asker(number))
}

proptest! {
    /// Whatever happens: it is never shut for longer than a pause, lets no two look in one, an
    /// answer opens the way for all, and what it remembers stays small.
    #[test]
    fn no_order_of_events_breaks_a_rule(events in proptest::collection::vec(event(), 0..200)) {
        let mut bench = Bench::new();
        let mut looked_at: Option<Instant> = None;
        for event in events {
            match event {
                Event::Later(millis) => bench.later(millis),
                Event::Answered => {
                    bench.breaker.answered(bench.now);
                    looked_at = None;
                    prop_assert!((0..4).all(|number| bench.admits(asker(number))));
                }
                Event::Failed(number) => {
                    bench.fail(asker(number));
                }
                Event::Asks(number) => {
                    let is_shut = bench.breaker.state() != BreakerState::Closed;
                    match bench.breaker.admit(asker(number), bench.now) {
                        Err(wait) => prop_assert!(wait <= PAUSE),
                        Ok(()) if is_shut => {
                            let pause = looked_at.map(|at| bench.now - at);
                            prop_assert!(pause.is_none_or(|pause| pause >= PAUSE), "{pause:?}");
                            looked_at = Some(bench.now);
                        }
                        Ok(()) => {}
                    }
                }
            }
            prop_assert!(bench.breaker.run.len() <= 2 * ENOUGH);
        }
    }

    /// However one asker fails, and however often: nobody else is ever refused.
    #[test]
    fn one_asker_alone_never_shuts_out_another(steps in proptest::collection::vec(0_u64..3_000, 0..200)) {
        let mut bench = Bench::new();
        for millis in steps {
            bench.later(millis);
            bench.fail(ANN);
            prop_assert!(bench.admits(BOB) && bench.admits(None));
        }
    }
}
