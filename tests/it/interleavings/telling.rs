//! An answer in a few words, the same in each run of a seed.

use pr_summarizer::{
    domain::{GitHubAccount, failure::Result},
    identity::linking::Status,
};

use super::deeds::Answer;

pub fn told(answer: &Answer) -> String {
    match answer {
        Answer::Opened(_, Some(_)) => "known from now on".to_owned(),
        Answer::Opened(_, None) => "opened, and unknown".to_owned(),
        Answer::Nobody => "unknown".to_owned(),
        Answer::Closed(done) => short(done, ToString::to_string),
        Answer::Status(_, done) => short(done, standing),
        Answer::Looked(_, done) => {
            short(done, |seen| seen.as_ref().map_or_else(String::new, standing))
        }
        Answer::Read(_, done) => short(done, |read| match read {
            Some(account) => format!("read as {}", account.login),
            None => "read, and not handed out".to_owned(),
        }),
        Answer::Page(done) => short(done, |page| {
            let known: Vec<&str> =
                page.known_accounts.iter().map(|account| &*account.login).collect();
            format!("a page that offers {known:?}")
        }),
        Answer::Step(done) => short(done, |_| "a link of Scalekit's".to_owned()),
        Answer::Reused(done) => short(done, connected),
        Answer::Disconnected(_, done)
        | Answer::Declined(done)
        | Answer::DisconnectedHere(done)
        | Answer::Swept(done) => short(done, |()| "done".to_owned()),
        Answer::Completed(Ok(completed)) => connected(&completed.account),
        Answer::Completed(Err(interrupted)) => {
            format!("{} ({})", interrupted.failure.code.slug(), interrupted.failure.detail)
        }
    }
}

fn short<T>(done: &Result<T>, tell: impl Fn(&T) -> String) -> String {
    match done {
        Ok(value) => tell(value),
        Err(failure) => format!("{} ({})", failure.code.slug(), failure.detail),
    }
}

fn connected(account: &GitHubAccount) -> String {
    format!("connected as {}", account.login)
}

fn standing(status: &Status) -> String {
    match status {
        Status::Connected(connection) if connection.verified => connected(&connection.account),
        Status::Connected(connection) => format!("{}, unverified", connected(&connection.account)),
        Status::Pending(_) => "a link".to_owned(),
        Status::NotConnected { .. } => "not connected".to_owned(),
        Status::Expired { .. } => "expired".to_owned(),
    }
}
