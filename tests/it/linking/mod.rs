//! Linking an account: honest runs, restarts and outages, over real HTTP. Attacks are in
//! `crate::attacks`.

mod desk;
mod handles;
mod honest;
mod interrupted;
mod lasting;
mod people;
mod races;
mod standing;
mod sweeping;
mod waiting;

use serde_json::json;

use crate::{
    fakes::{Browser, Page, World},
    support::{Agent, Server},
};

/// Asks for a link.
async fn link(agent: &Agent) -> String {
    let answer = agent.call("connect_github", json!({})).await;
    assert_eq!(answer.status(), "authorization_required", "{}", answer.text);
    answer.link()
}

async fn status(agent: &Agent) -> String {
    agent.call("auth_status", json!({})).await.status().to_owned()
}

async fn login(agent: &Agent) -> Option<String> {
    let answer = agent.call("auth_status", json!({})).await;
    answer.data["github_login"].as_str().map(str::to_owned)
}

/// An agent whose person has connected as this login, in this browser.
async fn connected(server: &Server, browser: &Browser, as_login: &str) -> Agent {
    let agent = server.agent().await;
    let page = browser.approve(link(&agent).await, as_login).await;
    assert!(page.says(&format!("Connected as @{as_login}")), "{page:?}");
    assert_eq!(login(&agent).await.as_deref(), Some(as_login));
    agent
}

/// The address with which the browser came back to us.
fn callback(page: &Page) -> String {
    page.chain
        .iter()
        .map(|hop| hop.url.as_str())
        .find(|url| url.contains("/user/verify?"))
        .expect("the browser came back")
        .to_owned()
}

/// Until the sweeper has told Scalekit to forget all accounts but `left`.
async fn until_accounts(world: &World, left: usize) {
    for _ in 0..400 {
        if world.scalekit.accounts().len() == left {
            return;
        }
        tokio::time::timeout(std::time::Duration::from_millis(10), std::future::pending::<()>())
            .await
            .unwrap_err();
    }
    panic!("Scalekit still holds {:?}", world.scalekit.accounts());
}
