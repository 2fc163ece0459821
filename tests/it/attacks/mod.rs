//! The attack catalogue: what attackers try, what stops them, and in each mode the test that shows
//! it, or why there is nothing to show.
//!
//! [`CATALOGUE`] is written once, and its tests are made from it (`attacks::a02::session`), so that
//! a row cannot claim a mode that is not tried. `SECURITY.md` carries it as a table, which
//! `attacks::table` holds to be fresh. Every attack is played between two honest runs
//! ([`house::stage`]).

mod browser;
mod crowd;
mod ending;
mod flows;
mod front;
pub mod house;
mod linking;
mod redirects;
mod secrets;
mod table;
mod text;
mod tokens;

use crate::fakes::TokenStorage;

/// One attack.
struct Attack {
    /// `a02`.
    number: &'static str,
    /// What the attacker does.
    what: &'static str,
    /// What stops it.
    stopped_by: &'static str,
    /// For `session`, `single-user` and `oauth`.
    columns: [Column; 3],
}

/// What there is to see in one mode.
#[derive(Clone, Copy)]
enum Column {
    /// A test shows that it held.
    Tested,
    /// There is nothing to attack, for this reason.
    NotApplicable(&'static str),
}

/// On loopback the session id and the handle are the credential.
const MACHINE: &str = "One machine is one trust domain: a link is for whoever of its programs asked \
                       (see *Limits*).";
const ONE_PERSON: &str = "There is one person.";
const NO_CLIENTS: &str = "There are no OAuth clients, codes or redirect addresses.";
const DEVELOPMENT: &str = "Served for development, and marked *unverified* in every answer.";
const BEHIND_A_PROXY: &str =
    "A proxy with TLS stands in front by design; what it adds forms nothing (A04).";

/// Scalekit keeps an unverified token with its authorization request, as far as we know.
const USUAL: &[TokenStorage] = &[TokenStorage::PerRequest];
/// It may also keep it with the account.
const BOTH: &[TokenStorage] = &[TokenStorage::PerRequest, TokenStorage::PerAccount];

/// The test of one mode; none where the column says that there is nothing to attack.
macro_rules! test_of {
    ($name:ident $mode:ident $theme:ident $number:ident (tested in $storages:ident)) => {
        #[tokio::test]
        async fn $name() {
            use crate::attacks::{house, $theme};
            house::stage(house::Mode::$mode, crate::attacks::$storages, $theme::$number).await;
        }
    };
    ($name:ident $mode:ident $theme:ident $number:ident (na $why:ident)) => {};
}

macro_rules! column {
    ((tested in $storages:ident)) => {
        Column::Tested
    };
    ((na $why:ident)) => {
        Column::NotApplicable($why)
    };
}

/// Number, file, the columns `session`, `single-user`, `oauth`, the attack, what stops it.
macro_rules! catalogue {
    ($($number:ident $theme:ident $session:tt $single_user:tt $oauth:tt $attack:literal $stopped_by:literal)*) => {
        const CATALOGUE: &[Attack] = &[$(Attack {
            number: stringify!($number),
            what: $attack,
            stopped_by: $stopped_by,
            columns: [column!($session), column!($single_user), column!($oauth)],
        }),*];
        $(mod $number {
            test_of!(session Session $theme $number $session);
            test_of!(single_user SingleUser $theme $number $single_user);
            test_of!(oauth OAuth $theme $number $oauth);
        })*
    };
}

catalogue! {
    a01 linking (na MACHINE) (na MACHINE) (tested in BOTH)
        "A link is sent to a victim, who goes the whole way"
        "A repair takes only the account that the person is; a code goes to the client's registered address and needs its verifier"
    a02 linking (tested in BOTH) (tested in BOTH) (tested in BOTH)
        "The attacker presses our button and forwards Scalekit's link; the victim completes it"
        "The flow is bound to the browser that pressed; another one burns it before anything is verified"
    a03 linking (tested in BOTH) (tested in BOTH) (tested in BOTH)
        "The attacker replays the callback that the victim's browser brought"
        "A burned or finished flow never verifies; another authorization under its state undoes the connection and what came of it"
    a04 front (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Forged `Host`, `Forwarded` and `X-Forwarded-*`, absolute-form targets, doubled headers"
        "Every link is made from `PUBLIC_BASE_URL`; foreign names are refused"
    a05 linking (tested in BOTH) (tested in BOTH) (tested in BOTH)
        "The attacker's own authorization is slipped into the victim's browser"
        "The flow's browser is another: refused, and the victim's connection stays"
    a06 linking (na MACHINE) (na MACHINE) (tested in USUAL)
        "A leaked link of the victim is completed by the attacker"
        "Only the same GitHub account counts; the agent is told which one came"
    a07 browser (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Planted, tossed and doubled cookies, `?sid=` and identities in headers"
        "A `__Host-` cookie, refused when sent twice; nothing else says who a browser is"
    a08 flows (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Link scanners open every page with GET and HEAD"
        "Only POST acts, and the callback in the flow's own browser"
    a09 flows (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "States replayed, expired, cut, flipped, of others, and 10,000 random ones"
        "256 random bits, kept as a hash; an unknown state touches nothing"
    a10 linking (tested in BOTH) (tested in BOTH) (tested in BOTH)
        "Fifty identical callbacks at once"
        "Verification is claimed by compare-and-set before it is asked for"
    a11 flows (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Two tabs, two agents, two first-ever tabs hinder each other"
        "Each press of a button has its own identifier and state, each flow its own binding"
    a12 flows (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Bogus callbacks while an honest one is on its way"
        "What carries no known state and no authorization ends nothing"
    a13 flows (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "The process is killed between verification and its record"
        "The step is written first; a fresh identifier makes an active account unambiguous, and the same callback takes it up"
    a14 tokens (na MACHINE) (na MACHINE) (tested in USUAL)
        "A stolen session id with another person's token, or with none"
        "A session is its person's; to others it is unknown on every method"
    a15 tokens (na MACHINE) (na ONE_PERSON) (tested in USUAL)
        "A link or request state of one person, used by another"
        "The token says who calls; a foreign value is unknown. There are no handles"
    a16 front (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "An unsafe address to listen on or to publish"
        "The start is refused (exit 78), all problems at once"
    a17 ending (na DEVELOPMENT) (na DEVELOPMENT) (tested in USUAL)
        "Scalekit is in its users-only mode, which checks no browser"
        "The account is refused and deleted, the agent told what the operator must change"
    a18 front (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "DNS rebinding, look-alike host names, foreign and `null` origins"
        "Lists of hosts and origins before every route; `Sec-Fetch-Site` where there is no origin"
    a19 browser (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Forms from elsewhere, also with the attacker's own token, or none"
        "`Sec-Fetch-Site` or `Origin`, and a token bound to the browser and the form's subject"
    a20 browser (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Framing, double clicks, scripts, caches"
        "The same headers on every answer; no script but our own at `/`; buttons that wait a second"
    a21 browser (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Consent that was given before is used silently"
        "The page is shown each time, whatever the request says"
    a22 redirects (na NO_CLIENTS) (na NO_CLIENTS) (tested in USUAL)
        "Redirect tricks: schemes, users, suffixes, ports, look-alikes, our own origin"
        "Exact text, or http on loopback written in the only way that leaves no doubt"
    a23 tokens (na NO_CLIENTS) (na NO_CLIENTS) (tested in USUAL)
        "A code reused, late, of another client, without its verifier; a refresh token that comes back late"
        "`invalid_grant`; what it had opened is revoked. Ten honest parallel refreshes succeed"
    a24 tokens (na MACHINE) (tested in USUAL) (tested in USUAL)
        "Garbage, expired, flipped and refresh tokens, wrong local keys"
        "401 with a challenge, on every method"
    a25 browser (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Scalekit's answer names an address to go on to"
        "It is not read"
    a26 secrets (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Secrets, tokens, codes, states, links and pull-request text in a TRACE log, in errors or on pages"
        "Types without `Debug`, ceilings for libraries, errors that name no value"
    a27 crowd (tested in USUAL) (na ONE_PERSON) (tested in USUAL)
        "Fifty people at once, equal request ids, warm caches"
        "Caches are looked up only with what GitHub has just told this caller"
    a28 redirects (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Client-id documents, repository names and upstream redirects that lead into the network"
        "Addresses come from settings; no redirect is followed; documents only from named origins"
    a29 text (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Instructions, links, mentions and unseen characters in pull requests"
        "Fenced, filtered in and out; one model call each, without tools (the whole corpus: `injection`)"
    a30 linking (tested in BOTH) (tested in BOTH) (tested in BOTH)
        "Authorizations exchanged between flows: the victim's in the attacker's second one, the attacker's own after the victim's consent"
        "A fresh Scalekit identifier for each trip to Scalekit, never used twice"
    a31 flows (tested in BOTH) (tested in BOTH) (tested in BOTH)
        "Burned, declined, expired and superseded flows leave accounts behind"
        "Each is deleted at Scalekit; a sweeper tries again"
    a32 browser (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "`form-action` stops the honest way through several sites, to loopback and to private schemes"
        "A POST answers a page and never leaves this origin"
    a33 linking (na MACHINE) (na MACHINE) (tested in USUAL)
        "A repair from another browser, with another account, or by a browser's memory"
        "Works for the same GitHub account, and for no other"
    a34 front (tested in USUAL) (tested in USUAL) (na BEHIND_A_PROXY)
        "A proxy publishes a server that trusts its machine"
        "Forwarding headers on any route and HTTP/1.0 on `/mcp` are refused"
    a35 browser (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "A program calls itself something else"
        "Its name is shown as a claim, filtered, 64 characters at most"
    a36 tokens (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "A signed or secret value of one purpose is used for another"
        "A key for each purpose; values are looked up under their own kind"
    a37 flows (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "HEAD, prefetch and prerender of a link or of the callback"
        "The callback refuses them before anything is read; a link shows its page and burns nothing"
    a38 ending (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "`AUTH_MODE` is changed on the same store"
        "Each record belongs to its mode"
    a39 ending (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "Access is taken away during a call, or while an answer is still fresh"
        "A running call ends at once, and it is checked again before anything is served (by another instance: unless the call was answered within 50 ms)"
    a40 tokens (tested in USUAL) (tested in USUAL) (tested in USUAL)
        "A session is ended or an account disconnected by somebody else"
        "As unknown; nothing happens"
}
