//! Every request that this program makes of an upstream, and how one of it is made alone.

use std::{sync::Arc, time::Duration};

use pr_summarizer::{
    domain::{
        Failure, RepositoryReference, Secret, SystemClock, SystemEntropy, UserId,
        digest::{Detail, RepositoryDigest, SummaryStatus},
        ranking::Order,
        repository::RepositoryName,
    },
    summarize::{Caller, Ending, Request, SummarizeSettings, Summarizer},
    upstream::{
        github::{GitHub, GitHubTokenSettings, ListQuery},
        llm::{Llm, LlmSettings},
        scalekit::{AccountStatus, Scalekit, ScalekitSettings, Verification},
        transport::{Call, Transport, TransportSettings},
    },
};

use crate::{
    fakes::{Door, FakeLlm, FakeScalekit, Fault, Match, ProxyMode, World, traffic::Traffic},
    support::Ear,
};

/// How long one call may last in all.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// How long an upstream may think.
pub const ANSWER: Duration = Duration::from_millis(1_500);
/// How long a body may stand still.
pub const IDLE: Duration = Duration::from_millis(750);

/// How long the preparations may last.
const READY: Duration = Duration::from_secs(20);

const REPOSITORY: &str = "lighthouse-labs/beacon";
const NUMBER: u64 = 431;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    // Of Scalekit.
    Token,
    Status,
    Create,
    Link,
    Verify,
    Delete,
    Tool,
    // Of GitHub, through Scalekit's proxy.
    User,
    List,
    Numbers,
    Talk,
    Diff,
    Files,
    // Of GitHub, with a token.
    OwnUser,
    OwnList,
    OwnDiff,
    // Of the LLM.
    Completion,
    // The same within a whole summary.
    WholeList,
    WholeTalk,
    WholeDiff,
    WholeText,
}

/// What the requests have in common, as far as faults go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An RPC of Scalekit's that may be repeated.
    Rpc,
    /// The one that may not.
    Verify,
    /// A tool: repeated only when no answer came.
    Tool,
    /// GraphQL: likewise, and asked for less when it was too much.
    Query,
    /// REST.
    Read,
    /// A completion.
    Completion,
}

impl Asked {
    pub const SCALEKIT: [Self; 7] = [
        Self::Token,
        Self::Status,
        Self::Create,
        Self::Link,
        Self::Verify,
        Self::Delete,
        Self::Tool,
    ];
    pub const PROXY: [Self; 6] =
        [Self::User, Self::List, Self::Numbers, Self::Talk, Self::Diff, Self::Files];
    pub const DIRECT: [Self; 4] = [Self::OwnUser, Self::OwnList, Self::OwnDiff, Self::Completion];
    pub const WHOLE: [Self; 4] =
        [Self::WholeList, Self::WholeTalk, Self::WholeDiff, Self::WholeText];

    /// The same on its own, where it is a part of a summary.
    pub fn alone(self) -> Self {
        match self {
            Self::WholeList => Self::List,
            Self::WholeTalk => Self::Talk,
            Self::WholeDiff => Self::Diff,
            Self::WholeText => Self::Completion,
            other => other,
        }
    }

    pub fn is_whole(self) -> bool {
        self.alone() != self
    }

    pub fn class(self) -> Class {
        match self.alone() {
            Self::Token | Self::Status | Self::Create | Self::Link | Self::Delete => Class::Rpc,
            Self::Verify => Class::Verify,
            Self::Tool => Class::Tool,
            Self::List | Self::Numbers | Self::Talk | Self::OwnList => Class::Query,
            Self::Completion => Class::Completion,
            _ => Class::Read,
        }
    }

    /// GitHub asked with a token of the operator's.
    pub fn is_own(self) -> bool {
        matches!(self, Self::OwnUser | Self::OwnList | Self::OwnDiff)
    }

    /// Whether the whole way to the upstream may be blocked without stopping another request that
    /// has to come first.
    pub fn comes_first(self) -> bool {
        !matches!(self, Self::Files | Self::WholeTalk | Self::WholeDiff)
    }

    fn matching(self) -> Match {
        let accounts = "/api/v1/connected_accounts";
        let query = |of_conversations: bool| {
            Match::new(move |call| {
                call.path == "/proxy/graphql"
                    && call.json()["query"].as_str().is_some_and(|query| {
                        query.contains("query Conversations") == of_conversations
                    })
            })
        };
        let diff = format!("/repos/{REPOSITORY}/pulls/{NUMBER}");
        match self {
            Self::Token => Match::path("POST", "/oauth/token"),
            Self::Status => Match::path("GET", format!("{accounts}/details")),
            Self::Create => Match::path("POST", accounts),
            Self::Link => Match::path("POST", format!("{accounts}/magic_link")),
            Self::Verify => Match::path("POST", format!("{accounts}/user/verify")),
            Self::Delete => Match::path("POST", format!("{accounts}:delete")),
            Self::Tool => Match::path("POST", "/api/v1/execute_tool"),
            Self::User => Match::path("GET", "/proxy/user"),
            Self::List | Self::Numbers | Self::WholeList => query(false),
            Self::Talk | Self::WholeTalk => query(true),
            Self::Diff => Match::path("GET", format!("/proxy{diff}")),
            Self::Files => Match::prefix("GET", format!("/proxy{diff}/files")),
            Self::WholeDiff => Match::new(|call| {
                call.path.starts_with("/proxy/repos/") && !call.path.ends_with("/files")
            }),
            Self::OwnUser => Match::path("GET", "/user"),
            Self::OwnList => Match::path("POST", "/graphql"),
            Self::OwnDiff => Match::path("GET", diff),
            Self::Completion | Self::WholeText => Match::any(),
        }
    }
}

/// What came of it, in a word, and what it cost.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub word: String,
    pub retry_after: Option<Duration>,
    pub time: Duration,
    /// Requests of this kind that the upstream saw.
    pub requests: usize,
}

/// The worlds, with a door before each.
pub struct Stage {
    pub world: World,
    pub scalekit: Door,
    pub github: Door,
    pub llm: Door,
    _ear: Ear,
}

/// Our clients of them, new for every request: no failure has to do with another.
pub struct Clients {
    pub scalekit: Scalekit,
    pub person: UserId,
    pub github: GitHub,
    pub own: GitHub,
    pub llm: Option<Llm>,
    pub summarizer: Summarizer,
}

pub fn limits() -> TransportSettings {
    TransportSettings {
        connect_timeout: ANSWER,
        answer_timeout: ANSWER,
        read_idle_timeout: IDLE,
        backoff: Duration::from_millis(1),
        ..TransportSettings::default()
    }
}

impl Stage {
    pub async fn start() -> Self {
        Self::before(World::start().await).await
    }

    pub async fn before(world: World) -> Self {
        let scalekit = Door::to(world.scalekit.url()).await;
        let github = Door::to(world.github.url()).await;
        let llm = Door::to(world.llm.url().trim_end_matches("/v1")).await;
        Self { world, scalekit, github, llm, _ear: Ear::open() }
    }

    /// Whose answers are spoiled.
    pub fn traffic(&self, asked: Asked) -> &Traffic {
        match asked {
            Asked::OwnUser | Asked::OwnList | Asked::OwnDiff => &self.world.github,
            Asked::Completion | Asked::WholeText => &self.world.llm,
            _ => &self.world.scalekit,
        }
    }

    /// The way there.
    pub fn door(&self, asked: Asked) -> &Door {
        match asked {
            Asked::OwnUser | Asked::OwnList | Asked::OwnDiff => &self.github,
            Asked::Completion | Asked::WholeText => &self.llm,
            _ => &self.scalekit,
        }
    }

    /// Clients with these limits, and somebody whose account is linked.
    pub fn clients(&self, asked: Asked, limits: &TransportSettings) -> Clients {
        let entropy = Arc::new(SystemEntropy);
        let clock = Arc::new(SystemClock);
        // Without the system's certificates, which take long to read.
        let plain = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let transport = Transport::over(plain, limits.clone(), entropy.clone()).unwrap();
        let settings = ScalekitSettings {
            environment_url: self.scalekit.url().parse().unwrap(),
            client_id: FakeScalekit::CLIENT_ID.to_owned(),
            client_secret: FakeScalekit::CLIENT_SECRET.into(),
            connection_name: FakeScalekit::CONNECTION_NAME.to_owned(),
        };
        let scalekit = Scalekit::new(settings, transport.clone(), clock.clone());
        let person = UserId::mint(&SystemEntropy);
        self.world.scalekit.linked(person.as_str(), "octocat");
        let settings = GitHubTokenSettings {
            api_url: self.github.url().parse().unwrap(),
            token: self.world.github.token_of("octocat").into(),
        };
        let needs_llm = asked.is_whole() || asked == Asked::Completion;
        let llm = needs_llm.then(|| LlmSettings {
            base_url: Some(format!("{}/v1", self.llm.url()).parse().unwrap()),
            api_key: Some(FakeLlm::API_KEY.into()),
            model: "small".to_owned(),
            answer_timeout: limits.answer_timeout,
        });
        let llm = llm.map(|llm| Llm::new(llm, entropy).unwrap());
        let settings_of_summaries =
            SummarizeSettings { deadline: DEADLINE, ..SummarizeSettings::default() };
        Clients {
            github: GitHub::through_scalekit(scalekit.clone(), person.clone()),
            own: GitHub::with_token(settings, transport),
            summarizer: Summarizer::new(
                settings_of_summaries,
                llm.clone(),
                clock,
                Ending::default(),
            ),
            scalekit,
            person,
            llm,
        }
    }

    /// Makes one request of this kind, with everything done before that it needs, and with
    /// whatever `spoil` does before it.
    pub async fn ask<F: Future<Output = ()>>(
        &self,
        asked: Asked,
        spoil: impl FnOnce() -> F,
    ) -> Outcome {
        let clients = self.clients(asked, &limits());
        let mut request_id = String::new();
        let mode = if asked == Asked::Tool { ProxyMode::Disabled } else { ProxyMode::Enabled };
        self.world.scalekit.configure(|settings| settings.proxy = mode);
        match asked {
            Asked::Token | Asked::OwnUser | Asked::OwnList | Asked::OwnDiff | Asked::Completion => {
            }
            // Finds out that the proxy is off, so that the tool comes first from then on.
            Asked::Tool => {
                clients.with_token().await;
                let call = Call::within(READY);
                clients.github.viewer(&call).await.expect("the tool works before anything happens");
            }
            Asked::Verify => {
                let consenting = UserId::mint(&SystemEntropy);
                request_id = self.world.scalekit.consented(consenting.as_str(), "octocat");
                clients.with_token().await;
                return self
                    .timed(asked, spoil, || async {
                        let call = Call::within(DEADLINE);
                        match clients.scalekit.verify(&consenting, &request_id, &call).await {
                            Ok(Verification::Verified) => ("answer".to_owned(), None),
                            Ok(Verification::Refused) => ("refused".to_owned(), None),
                            Ok(Verification::Uncertain) => ("uncertain".to_owned(), None),
                            Err(failure) => told(&failure),
                        }
                    })
                    .await;
            }
            _ => clients.with_token().await,
        }
        drop(request_id);
        if asked == Asked::Files {
            let diff = Asked::Diff.matching();
            self.world.scalekit.inject(diff, Fault::status(406), 1);
        }
        self.timed(asked, spoil, || clients.ask(asked)).await
    }

    async fn timed<F, A>(
        &self,
        asked: Asked,
        spoil: impl FnOnce() -> F,
        ask: impl FnOnce() -> A,
    ) -> Outcome
    where
        F: Future<Output = ()>,
        A: Future<Output = (String, Option<Duration>)>,
    {
        self.traffic(asked).clear_calls();
        spoil().await;
        let start = tokio::time::Instant::now();
        let (word, retry_after) = ask().await;
        let time = start.elapsed();
        let matching = asked.matching();
        let requests = self.traffic(asked).count(|call| matching.is(call));
        Outcome { word, retry_after, time, requests }
    }

    /// Spoils the next `times` requests of this kind.
    pub fn inject(&self, asked: Asked, fault: Fault, times: usize) {
        self.traffic(asked).inject(asked.matching(), fault, times);
    }
}

impl Clients {
    /// Fetches our token for Scalekit, however busy the machine is.
    pub async fn with_token(&self) {
        let call = Call::within(READY);
        while let Err(failure) = self.scalekit.check(&call).await {
            assert!(!call.remaining().is_zero(), "{failure:?}");
        }
    }

    pub async fn ask(&self, asked: Asked) -> (String, Option<Duration>) {
        match self.try_to(asked, &Call::within(DEADLINE)).await {
            Ok(word) => (word.to_owned(), None),
            Err(failure) => told(&failure),
        }
    }

    /// The answer in a word.
    pub async fn try_to(&self, asked: Asked, call: &Call) -> Result<&'static str, Box<Failure>> {
        let name: RepositoryName = REPOSITORY.parse().unwrap();
        let github = if asked.is_own() { &self.own } else { &self.github };
        Ok(match asked {
            Asked::Token => self.scalekit.check(call).await.map(|()| "answer")?,
            Asked::Status => match self.scalekit.account_status(&self.person, call).await? {
                Some(AccountStatus::Active) => "answer",
                Some(_) => "unknown",
                None => "none",
            },
            Asked::Create | Asked::Link => {
                let (new, state) = (UserId::mint(&SystemEntropy), Secret::from("a state"));
                let back = "http://127.0.0.1:9/user/verify".parse().unwrap();
                self.scalekit.authorization_link(&new, &state, &back, call).await?;
                "answer"
            }
            Asked::Delete => {
                self.scalekit.delete_account(&self.person, call).await.map(|()| "answer")?
            }
            Asked::Tool | Asked::User | Asked::OwnUser => {
                assert_eq!(github.viewer(call).await?.login, "octocat");
                "answer"
            }
            Asked::List | Asked::OwnList => {
                whole(github.choose(&query(name), call).await?.warnings.is_empty())
            }
            Asked::Numbers => {
                let list = github.by_number(&name, &[NUMBER], call).await?;
                assert_eq!(list.pull_requests.len(), 1);
                whole(list.warnings.is_empty())
            }
            Asked::Talk => whole(
                github.conversations(&name, &[NUMBER], call).await?.told.contains_key(&NUMBER),
            ),
            Asked::Diff | Asked::Files | Asked::OwnDiff => {
                let diff = github.diff(&name, NUMBER, call).await?;
                whole(!diff.files.is_empty() && !diff.is_truncated)
            }
            Asked::Completion => {
                let llm = self.llm.as_ref().unwrap();
                let written = llm.complete("rules", "title: data", 100, call).await?;
                if written.text.is_empty() { "nothing" } else { "answer" }
            }
            Asked::Verify => unreachable!("asked with a consent of its own"),
            Asked::WholeList | Asked::WholeTalk | Asked::WholeDiff | Asked::WholeText => {
                let digest = self.summarize("ann", REPOSITORY, call).await?;
                assert_eq!(digest.pull_requests.len(), 5, "facts always come");
                whole(is_whole(&digest))
            }
        })
    }

    pub async fn summarize(
        &self,
        who: &str,
        repository: &str,
        call: &Call,
    ) -> Result<RepositoryDigest, Box<Failure>> {
        let request = Request {
            repository: RepositoryReference::parse(repository).unwrap(),
            limit: 5,
            pull_requests: Vec::new(),
            order: Order::MostDiscussed,
            exclude_drafts: false,
            exclude_bots: false,
            author: None,
            label: None,
            base: None,
            language: None,
            detail: Detail::Concise,
        };
        let caller = Caller::named(who);
        self.summarizer.summarize(&caller, &self.github, &request, &(), call).await
    }
}

/// Nothing is missing, and the reader need not be warned.
pub fn is_whole(digest: &RepositoryDigest) -> bool {
    let written = |status| matches!(status, SummaryStatus::Written | SummaryStatus::Cached);
    digest.warnings.is_empty()
        && digest.complete
        && digest.pull_requests.iter().all(|one| written(one.summary_status))
}

fn whole(is_whole: bool) -> &'static str {
    if is_whole { "answer" } else { "partial" }
}

fn told(failure: &Failure) -> (String, Option<Duration>) {
    (failure.code.slug().to_owned(), failure.retry_after)
}

fn query(repository: RepositoryName) -> ListQuery {
    ListQuery {
        repository,
        limit: 5,
        order: Order::MostDiscussed,
        exclude_drafts: false,
        exclude_bots: false,
        author: None,
        label: None,
        base: None,
    }
}
