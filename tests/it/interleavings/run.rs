//! One run: whose turn it is, drawn by the seed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::LocalBoxFuture;
use pr_summarizer::{
    domain::{AuthMode, Clock as _, Entropy, GitHubAccount, ManualClock, Timestamp},
    identity::BrowserCookie,
    upstream::transport::Transport,
};
use tokio::{select, time::timeout};

use super::{
    deeds::{Answer, Deed, Proof, perform},
    gates::Gates,
    house::{Ground, House, Repeatable},
    knowledge::{BROWSERS, Browser, Consent, Knowledge},
    ledger::Ledger,
    plan::{Next, Plan, next},
    telling::told,
};
use crate::{
    bad_input::chance::Chance,
    fakes::{
        DenialMode, LinkUse, Person, TokenStorage, VerificationMode, World, scalekit::Settings,
    },
};

/// What was found to be wrong, in a sentence.
pub type Verdict<T = ()> = Result<T, String>;

/// A step that takes longer waits for somebody who waits for it.
const STUCK: Duration = Duration::from_mins(1);

/// No door keeps a request for longer; what takes so long is cut off.
const PATIENCE: chrono::Duration = chrono::Duration::minutes(10);

/// One in so many steps is the last one of a process.
const CRASHES: u64 = 70;

/// One request that is under way.
pub struct Hand {
    pub number: usize,
    pub deed: Deed,
    pub process: usize,
    /// When it began.
    pub began: u64,
    pub began_at: Timestamp,
    /// Whose standing it changes or looks at.
    pub subject: Option<String>,
    /// Who may lose their connection by it.
    pub losers: Vec<String>,
    work: LocalBoxFuture<'static, Answer>,
}

/// What Scalekit is asked to verify, in its own words: by which hand, which authorization, for whom.
pub type Asked = Arc<Mutex<Vec<(usize, String, String)>>>;

pub struct Run<'w> {
    pub world: &'w World,
    pub house: House,
    pub plan: Plan,
    pub chance: Chance,
    pub known: Knowledge,
    pub ledger: Ledger,
    pub hands: BTreeMap<usize, Hand>,
    /// Counts what happens.
    pub tick: u64,
    pub asked: Asked,
    trace: VecDeque<String>,
    /// How much of what happened is kept to be told.
    pub told: usize,
    hands_ever: usize,
    jumps_left: usize,
    pub crashes: usize,
    /// Which flow's link was shown last.
    pub shown: Option<usize>,
}

impl<'w> Run<'w> {
    pub async fn begin(
        seed: u64,
        ground: Ground,
        (world, transport): (&'w World, &Transport),
        (gates, asked, clock): (Gates, Asked, &ManualClock),
    ) -> Self {
        let mut chance = Chance::new(seed);
        let plan = Plan::draw(&mut chance);
        let entropy: Arc<dyn Entropy> = Arc::new(Repeatable::new(!seed));
        let browsers = people(seed, world, &*entropy);
        world.scalekit.configure(|set| *set = dashboard(&plan));
        let circumstances = (plan.mode, plan.processes);
        let around = (world, transport, clock);
        let house = House::open(ground, circumstances, around, entropy, gates).await;
        let known = Knowledge {
            browsers,
            links_are_shared: plan.links_are_shared,
            is_oauth: plan.mode == AuthMode::OAuth,
            ..Knowledge::default()
        };
        Self {
            world,
            house,
            jumps_left: plan.jumps,
            plan,
            chance,
            known,
            ledger: Ledger::default(),
            hands: BTreeMap::new(),
            tick: 0,
            asked,
            trace: VecDeque::new(),
            told: 0,
            hands_ever: 0,
            crashes: 0,
            shown: None,
        }
    }

    /// To the end, or to the first thing that is wrong.
    pub async fn run(&mut self) -> Verdict {
        let pause = self.plan.has_long_pause.then(|| 1 + self.chance.below(self.plan.deeds));
        let mut deeds = 0;
        while deeds < self.plan.deeds || !self.hands.is_empty() {
            let may_begin = deeds < self.plan.deeds && self.hands.len() < self.plan.hands;
            if may_begin && (self.hands.is_empty() || self.chance.one_in(5)) {
                deeds += 1;
                if pause == Some(deeds) {
                    self.pause();
                }
                let jumps = self.jumps_left;
                match next(&self.plan, &self.known, jumps, &mut self.chance) {
                    Next::Deed(deed) => self.start(deed),
                    Next::Follow { link, browser, account } => {
                        self.follow(link, browser, account)?;
                    }
                    Next::Pass(minutes) => {
                        self.jumps_left -= 1;
                        self.pass(minutes);
                    }
                    Next::Reconfigure => self.reconfigure(),
                }
            } else if self.plan.has_crashes && self.chance.one_in(CRASHES) {
                let process = self.chance.below(self.plan.processes);
                self.crash(process).await;
            } else {
                let hands: Vec<usize> = self.hands.keys().copied().collect();
                let hand = self.chance.one_of(&hands);
                self.step(hand).await?;
            }
        }
        self.conclude().await
    }

    pub fn note(&mut self, what: &str) {
        self.tick += 1;
        if self.trace.len() >= self.told {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:4} {what}", self.tick));
    }

    /// The last of what happened.
    pub fn trace(&self) -> String {
        let lines: Vec<&str> = self.trace.iter().map(String::as_str).collect();
        lines.join("\n")
    }

    /// A request comes in.
    pub fn start(&mut self, deed: Deed) {
        let process = self.chance.below(self.plan.processes);
        let number = self.hands_ever;
        self.hands_ever += 1;
        self.note(&format!("hand {number} begins at process {process}: {deed:?}"));
        let with = self.with(&deed);
        let subject = self.enter(number, &deed);
        let losers = self.losers(&deed);
        for loser in &losers {
            self.ledger.begin((number, self.tick), loser, None, false);
        }
        let work = perform(&self.house.processes[process], deed.clone(), with);
        let (began, began_at) = (self.tick, self.house.clock.now());
        let hand = Hand { number, deed, process, began, began_at, subject, losers, work };
        self.hands.insert(number, hand);
    }

    /// One hand runs to its next gate, or to its end.
    pub async fn step(&mut self, number: usize) -> Verdict {
        let mut hand = self.hands.remove(&number).expect("it is under way");
        let gates = self.house.gates.clone();
        gates.release(number);
        let moved = timeout(STUCK, async {
            select! {
                biased;
                answer = &mut hand.work => Ok(answer),
                what = gates.until_waiting(number) => Err(what),
            }
        });
        let moved = moved.await.map_err(|_| format!("hand {number} is stuck"))?;
        gates.rest();
        // No two things happen at the same moment.
        self.house.clock.advance(chrono::Duration::milliseconds(1));
        self.hear_what_was_asked(&hand)?;
        match moved {
            Err(what) => {
                self.note(&format!("hand {number}: {what}"));
                self.hands.insert(number, hand);
                Ok(())
            }
            Ok(answer) => {
                self.note(&format!("hand {number} is answered: {}", told(&answer)));
                self.judge(&hand, answer)
            }
        }
    }

    /// All that is under way in a process ends, wherever it is, with all that it knew.
    pub async fn crash(&mut self, process: usize) {
        self.note(&format!("process {process} ends, and another one starts"));
        self.crashes += 1;
        let gone: Vec<usize> =
            self.hands.values().filter(|hand| hand.process == process).map(|h| h.number).collect();
        for number in gone {
            self.cut_off(number);
        }
        self.house.restart(process).await;
    }

    fn cut_off(&mut self, number: usize) {
        self.hands.remove(&number);
        self.house.gates.forget(number);
        self.ledger.cut_off(number, self.tick);
    }

    pub fn pass(&mut self, minutes: i64) {
        self.note(&format!("{minutes} minutes pass"));
        self.house.clock.advance(chrono::Duration::minutes(minutes));
        let now = self.house.clock.now();
        let late: Vec<usize> = self
            .hands
            .values()
            .filter(|hand| now - hand.began_at > PATIENCE)
            .map(|hand| hand.number)
            .collect();
        for number in late {
            self.note(&format!("hand {number} has taken too long"));
            self.cut_off(number);
        }
    }

    /// Longer than anything unused is kept for its caller.
    fn pause(&mut self) {
        self.pass(26 * 60);
        for caller in &mut self.known.callers {
            // How long a token is good for is another room's affair.
            caller.may_be_gone |= !matches!(caller.proof, Proof::Token(_));
        }
        for subject in self.ledger.subjects() {
            self.ledger.may_be_lost(&subject);
        }
    }

    fn reconfigure(&mut self) {
        let mut now = VerificationMode::Custom;
        self.world.scalekit.configure(|set| {
            if set.verification == VerificationMode::Custom {
                now = VerificationMode::ScalekitUsersOnly;
            }
            set.verification = now;
        });
        self.note(&format!("the dashboard is set to {now:?}"));
    }

    /// A browser goes to Scalekit and GitHub, and comes back with something to present.
    pub fn follow(&mut self, link: usize, browser: usize, account: Option<usize>) -> Verdict {
        let account = account.map(|which| self.known.browsers[browser].accounts[which].clone());
        let login = account.as_ref().map(|account| account.login.as_str());
        let followed = self.world.scalekit.follow(&self.known.links[link].url, login);
        self.note(&format!("browser {browser} follows link {link} as {login:?}"));
        self.known.links[link].is_followed = true;
        let Some(followed) = followed else { return Ok(()) };
        if self.known.asked_for(&followed.identifier) {
            self.known.is_spoiled = true;
            for subject in self.ledger.subjects() {
                self.ledger.may_be_lost(&subject);
            }
        }
        let known = &mut self.known.links[link];
        let identifier = known.identifier.get_or_insert(followed.identifier.clone());
        if *identifier != followed.identifier {
            return Err("one of Scalekit's links leads to two identifiers".to_owned());
        }
        let value = |name: &str| {
            let pairs = followed.back.as_ref()?.query_pairs();
            pairs.filter(|(n, _)| n == name).map(|(_, value)| value.into_owned()).next()
        };
        if let Some(state) = value("state") {
            known.state = Some(state);
        }
        let users_only =
            self.world.scalekit.settings().verification == VerificationMode::ScalekitUsersOnly;
        let consent = Consent {
            link,
            browser,
            is_unverified: users_only && account.is_some(),
            account,
            auth_request_id: value("auth_request_id"),
            is_delivered: false,
            tries: 0,
        };
        if consent.is_unverified && !self.known.is_oauth {
            let subject = self.known.subject_of(link, &consent);
            let login = consent.account.as_ref().map(|account| account.login.clone());
            if let Some(subject) = subject {
                // Whoever asks next finds it.
                self.hands_ever += 1;
                let hand = self.hands_ever;
                self.hands_ever += 1;
                self.ledger.begin((hand, self.tick), &subject, login, true);
                self.ledger.cut_off(hand, self.tick);
            }
        }
        if followed.back.is_some() || consent.is_unverified {
            self.known.consents.push(consent);
        }
        if self.plan.links_are_shared && self.plan.tokens_per_account {
            self.whose_token_it_is(link);
        }
        Ok(())
    }

    /// Where a later consent replaces an earlier one's token, whoever consented at this link may be
    /// whom it connects.
    fn whose_token_it_is(&mut self, link: usize) {
        let here = self.known.consents.iter().filter(|consent| consent.link == link);
        let here: Vec<(String, String)> = here
            .filter_map(|consent| {
                let login = consent.account.as_ref()?.login.clone();
                Some((self.known.subject_of(link, consent)?, login))
            })
            .collect();
        for (subject, login) in here.iter().filter(|_| here.len() > 1) {
            let hand = self.hands_ever;
            self.hands_ever += 1;
            self.ledger.begin((hand, self.tick), subject, Some(login.clone()), true);
            self.ledger.cut_off(hand, self.tick);
        }
    }
}

/// Scalekit as it is at the beginning.
fn dashboard(plan: &Plan) -> Settings {
    let mut set = Settings { mismatch_consumes: plan.mismatch_consumes, ..Settings::default() };
    if plan.links_are_shared {
        set.links = LinkUse::Often;
    }
    if plan.tokens_per_account {
        set.token_storage = TokenStorage::PerAccount;
    }
    if !plan.denial_comes_back {
        set.denial = DenialMode::EndsAtScalekit;
    }
    if plan.users_only {
        set.verification = VerificationMode::ScalekitUsersOnly;
    }
    set
}

/// New people, whom GitHub has not seen in another run.
fn people(seed: u64, world: &World, entropy: &dyn Entropy) -> Vec<Browser> {
    let names = ["anna", "bert", "thief"];
    let mut people = Vec::new();
    let mut browsers = Vec::new();
    for name in names.iter().take(BROWSERS) {
        let accounts = ["", "-2"].map(|suffix| {
            let id = seed % 1_000_000_000 * 10 + people.len() as u64 + 1;
            let account = GitHubAccount { id, login: format!("{name}-{seed}{suffix}") };
            people.push(Person::new(id, &account.login));
            account
        });
        browsers.push(Browser { cookie: BrowserCookie::mint(entropy), accounts });
    }
    world.github.update(|state| state.people = people);
    browsers
}
