//! What GitHub has said of an account's limits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use super::refusal;
use crate::{domain::Timestamp, upstream::transport::Answer};

/// What is left of one of an account's limits.
/// Source: <https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>,
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Points or requests in an hour; `None` if GitHub did not say.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: u64,
    /// When all are there again; `None` if GitHub did not say.
    pub reset_at: Option<Timestamp>,
}

impl RateLimit {
    /// Whether less than a tenth is left.
    pub fn is_low(&self) -> bool {
        self.limit.is_some_and(|limit| self.remaining < limit / 10)
    }

    /// Of two, what is true now: answers overtake each other, and within one hour it only falls.
    fn later(self, other: Self) -> Self {
        let is_overtaken = self.reset_at < other.reset_at
            || self.reset_at == other.reset_at && other.remaining < self.remaining;
        if is_overtaken { other } else { self }
    }
}

/// An account's two limits, as far as GitHub told.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateLimits {
    /// Of GraphQL, in points.
    pub graphql: Option<RateLimit>,
    /// Of REST, in requests.
    pub rest: Option<RateLimit>,
}

/// The latest that was told. Clones share it. A std mutex: it is never held across an await.
#[derive(Debug, Clone, Default)]
pub(super) struct ToldLimits(Arc<Mutex<RateLimits>>);

impl ToldLimits {
    pub(super) fn get(&self) -> RateLimits {
        *self.lock()
    }

    pub(super) fn note_graphql(&self, told: Option<RateLimit>) {
        note(&mut self.lock().graphql, told);
    }

    /// REST says it in the headers of every answer.
    pub(super) fn note_rest(&self, answer: &Answer) {
        note(&mut self.lock().rest, refusal::limit_in_headers(&answer.headers));
    }

    fn lock(&self) -> MutexGuard<'_, RateLimits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(kept: &mut Option<RateLimit>, told: Option<RateLimit>) {
    *kept = match (*kept, told) {
        (Some(kept), Some(told)) => Some(kept.later(told)),
        (kept, told) => told.or(kept),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_overtake_each_other_do_not_give_points_back() {
        let told = |remaining, hour: i64| RateLimit {
            limit: Some(5_000),
            remaining,
            reset_at: chrono::DateTime::from_timestamp(hour * 3_600, 0),
        };
        let limits = ToldLimits::default();
        for (news, expected) in [
            (Some(told(400, 1)), 400),
            (Some(told(402, 1)), 400),
            (None, 400),
            (Some(told(399, 1)), 399),
            (Some(told(4_999, 2)), 4_999),
            (Some(told(398, 1)), 4_999),
        ] {
            limits.note_graphql(news);
            assert_eq!(limits.get().graphql.map(|limit| limit.remaining), Some(expected));
        }
        assert!(told(499, 1).is_low() && !told(500, 1).is_low());
    }
}
