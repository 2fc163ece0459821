//! What a seed draws: the circumstances of its run, and what somebody does next.

use pr_summarizer::domain::AuthMode;

use super::{
    deeds::{Deed, How, Proof},
    knowledge::{BROWSERS, Knowledge, THIEF},
};
use crate::bad_input::chance::Chance;

/// GitHub keeps ten tokens per person, and some are needed in the end.
const MOST_CONSENTS: usize = 6;

/// The circumstances of a run.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
pub struct Plan {
    pub mode: AuthMode,
    pub processes: usize,
    /// Processes end at any step.
    pub has_crashes: bool,
    /// The dashboard is, or changes to and from, Scalekit-users-only mode.
    pub users_only: bool,
    /// People press twice and open pages again, and their programs ask meanwhile.
    pub is_hasty: bool,
    pub links_are_shared: bool,
    pub tokens_per_account: bool,
    pub mismatch_consumes: bool,
    pub denial_comes_back: bool,
    /// How many requests are under way at once.
    pub hands: usize,
    /// How many there are in all.
    pub deeds: usize,
    pub jumps: usize,
    /// Once, so much time passes that what nobody uses is forgotten.
    pub has_long_pause: bool,
}

impl Plan {
    pub fn draw(chance: &mut Chance) -> Self {
        let mode = match chance.below(10) {
            0..5 => AuthMode::Session,
            5..9 => AuthMode::OAuth,
            _ => AuthMode::SingleUser,
        };
        Self {
            mode,
            processes: 1 + usize::from(chance.one_in(3)),
            has_crashes: !chance.one_in(4),
            users_only: chance.one_in(8),
            is_hasty: chance.one_in(3),
            links_are_shared: chance.one_in(8),
            tokens_per_account: chance.one_in(2),
            mismatch_consumes: chance.one_in(2),
            denial_comes_back: !chance.one_in(3),
            hands: 2 + chance.below(4),
            deeds: 16 + chance.below(25),
            jumps: chance.below(6),
            has_long_pause: chance.one_in(12),
        }
    }
}

/// What happens next, other than that a step is taken.
#[derive(Debug, Clone)]
pub enum Next {
    Deed(Deed),
    /// A browser follows one of Scalekit's links, and its person decides at GitHub.
    Follow {
        link: usize,
        browser: usize,
        /// Which of their accounts; `None`: no.
        account: Option<usize>,
    },
    /// So many minutes pass.
    Pass(i64),
    /// The operator changes the dashboard.
    Reconfigure,
}

/// Candidates, each with its weight.
struct Ballot<'c> {
    chance: &'c mut Chance,
    candidates: Vec<(usize, Next)>,
}

impl Ballot<'_> {
    fn add(&mut self, weight: usize, deed: Deed) {
        self.candidates.push((weight, Next::Deed(deed)));
    }

    fn draw(self) -> Next {
        let all: usize = self.candidates.iter().map(|(weight, _)| weight).sum();
        let mut left = self.chance.below(all);
        for (weight, next) in self.candidates {
            if left < weight {
                return next;
            }
            left -= weight;
        }
        unreachable!("there is always something to do")
    }
}

/// What somebody does next. Mostly people go on with what they began; some do not.
pub fn next(plan: &Plan, known: &Knowledge, jumps_left: usize, chance: &mut Chance) -> Next {
    let mut ballot = Ballot { chance, candidates: Vec::new() };
    ballot.add(3, Deed::Sweep);
    if jumps_left > 0 {
        let minutes = match ballot.chance.below(8) {
            0..4 => 1 + ballot.chance.below(5),
            4..7 => 14 + ballot.chance.below(3),
            _ => 31,
        };
        ballot.candidates.push((2, Next::Pass(i64::try_from(minutes).unwrap())));
    }
    if plan.users_only {
        ballot.candidates.push((1, Next::Reconfigure));
    }
    arrivals(plan, known, &mut ballot);
    for caller in 0..known.callers.len() {
        calls(plan, known, caller, &mut ballot);
    }
    for flow in 0..known.flows.len() {
        pages(known, flow, &mut ballot);
    }
    for link in 0..known.links.len() {
        visits(plan, known, link, &mut ballot);
    }
    for consent in 0..known.consents.len() {
        returns(plan, known, consent, &mut ballot);
    }
    ballot.draw()
}

fn arrivals(plan: &Plan, known: &Knowledge, ballot: &mut Ballot<'_>) {
    if plan.mode == AuthMode::OAuth {
        if known.trips < 7 {
            for browser in 0..BROWSERS {
                let weight = if known.callers.len() < 2 { 6 } else { 2 };
                ballot.add(weight, Deed::Identify { browser, number: known.trips });
            }
        }
        for caller in known.callers.iter().filter(|_| known.callers.len() < 5) {
            let person = Some(caller.principal.id.clone());
            ballot.add(1, Deed::OpenSession { person });
        }
    } else if known.callers.iter().filter(|caller| caller.lives()).count() < 4 {
        let weight = if known.callers.is_empty() { 30 } else { 5 };
        ballot.add(weight, Deed::OpenSession { person: None });
        if plan.mode == AuthMode::Session {
            ballot.add(weight / 2, Deed::NewHandle);
        }
    }
}

fn calls(plan: &Plan, known: &Knowledge, caller: usize, ballot: &mut Ballot<'_>) {
    if !known.callers[caller].lives() {
        ballot.add(1, Deed::Status { caller });
        return;
    }
    let own = &known.callers[caller].subject;
    let open = known
        .flows
        .iter()
        .filter(|flow| flow.subject.as_ref() == Some(own) && flow.ended.is_none());
    let eager = if open.count() < 2 { 4 } else { 1 };
    ballot.add(eager, Deed::Begin { caller, reconnect: true });
    ballot.add(eager, Deed::Begin { caller, reconnect: false });
    ballot.add(if plan.is_hasty { 8 } else { 4 }, Deed::Status { caller });
    ballot.add(2, Deed::Look { caller });
    ballot.add(2, Deed::Read { caller });
    ballot.add(1, Deed::Disconnect { caller });
    if matches!(known.callers[caller].proof, Proof::Session(_)) && ballot.chance.one_in(3) {
        ballot.add(1, Deed::CloseSession { caller });
    }
}

fn pages(known: &Knowledge, flow: usize, ballot: &mut Ballot<'_>) {
    let Some(home) = known.flows[flow].id.as_ref().map(|_| known.flows[flow].home) else {
        return;
    };
    let pressed = known.links.iter().filter(|link| link.flow == flow).count();
    for browser in [home, THIEF] {
        let weight = if browser == home && pressed == 0 { 10 } else { 1 };
        ballot.add(weight, Deed::Consent { browser, flow });
        if let Some(account) = known.accounts_made_in(browser).last() {
            let github_id = account.id;
            ballot.add(1, Deed::Reuse { browser, flow, github_id });
            if ballot.chance.one_in(6) {
                ballot.add(1, Deed::DisconnectHere { browser, github_id });
            }
        }
    }
    let browser = ballot.chance.below(BROWSERS);
    ballot.add(1, Deed::OpenPage { browser, flow });
    if ballot.chance.one_in(4) {
        ballot.add(1, Deed::Decline { flow });
    }
}

fn visits(plan: &Plan, known: &Knowledge, number: usize, ballot: &mut Ballot<'_>) {
    let link = &known.links[number];
    if link.is_followed && !plan.links_are_shared {
        return;
    }
    for browser in 0..BROWSERS {
        if known.consents.iter().filter(|one| one.browser == browser).count() >= MOST_CONSENTS {
            continue;
        }
        let weight = match (browser == link.presser, link.is_followed) {
            (true, false) => 12,
            // Sent to somebody else, who believes what they are told.
            _ if browser == THIEF || link.presser == THIEF => 2,
            _ => 0,
        };
        let account = match ballot.chance.below(12) {
            0 => None,
            1 | 2 => Some(1),
            _ => Some(0),
        };
        if weight > 0 {
            ballot.candidates.push((weight, Next::Follow { link: number, browser, account }));
        }
    }
}

fn returns(plan: &Plan, known: &Knowledge, number: usize, ballot: &mut Ballot<'_>) {
    let consent = &known.consents[number];
    let (link, browser) = (consent.link, consent.browser);
    if known.links[link].state.is_none() {
        return;
    }
    let whole = |browser, how| Deed::Complete { browser, link, consent: Some(number), how };
    let weight = match consent.tries {
        0 => 14,
        1..4 if plan.is_hasty => 14,
        1 => 4,
        _ => 1,
    };
    ballot.add(weight, whole(browser, consent.how()));
    // Others know an address only once it was used.
    if known.has_been_seen(link) && (consent.is_delivered || browser == THIEF) {
        ballot.add(2, whole(THIEF, consent.how()));
        let victim = ballot.chance.below(THIEF);
        ballot.add(1, whole(victim, consent.how()));
        ballot.add(1, Deed::Complete { browser: THIEF, link, consent: None, how: How::Bare });
        // The authorization of one with the state of another.
        let others: Vec<usize> = (0..known.links.len())
            .filter(|other| *other != link && known.has_been_seen(*other))
            .collect();
        if !others.is_empty() {
            let link = ballot.chance.one_of(&others);
            let swapped =
                Deed::Complete { browser: THIEF, link, consent: Some(number), how: How::Whole };
            ballot.add(2, swapped);
        }
    }
    if ballot.chance.one_in(8) {
        ballot.add(1, Deed::Complete { browser, link, consent: None, how: How::Error });
    }
}
