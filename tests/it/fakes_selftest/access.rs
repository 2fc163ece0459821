//! The fake GitHub refuses as GitHub does, and its list lacks what GitHub's list lacks.

use serde_json::{Value, json};

use crate::fakes::{Person, PullRequest, Repository, World};

struct Caller {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Caller {
    fn new(world: &World, login: &str) -> Self {
        let client = reqwest::Client::builder()
            .user_agent("selftest")
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { client, url: world.github.url().to_owned(), token: world.github.token_of(login) }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        let url = format!("{}{path}", self.url);
        self.client.get(url).bearer_auth(&self.token).send().await.unwrap()
    }

    /// The repository's name, and the first error's type.
    async fn named(&self, owner: &str, name: &str) -> (Value, Value) {
        let query =
            format!("{{ repository(owner: {owner:?}, name: {name:?}) {{ nameWithOwner }} }}");
        let url = format!("{}/graphql", self.url);
        let request = self.client.post(url).bearer_auth(&self.token);
        let answer = request.json(&json!({"query": query})).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let name = answer["data"]["repository"]["nameWithOwner"].clone();
        (name, answer["errors"][0]["type"].clone())
    }
}

async fn world() -> World {
    let people =
        vec![Person::new(1, "ada").reads("acme/secret").sso("guarded"), Person::new(2, "bob")];
    let numbers = [3, 7, 1].into_iter().enumerate();
    let talked = numbers
        .map(|(index, comments)| PullRequest::new(index as u64 + 1, "Talk").comments(comments));
    let repositories = vec![
        Repository::new("acme", "api").formerly("acme/server").pull_requests(talked),
        Repository::new("acme", "secret").private(),
        Repository::new("guarded", "api").sso_protected(),
    ];
    World::builder().people(people).repositories(repositories).start().await
}

#[tokio::test]
async fn access_is_refused_as_github_refuses_it() {
    let world = world().await;
    let (ada, bob) = (Caller::new(&world, "ada"), Caller::new(&world, "bob"));
    assert_eq!(ada.named("acme", "secret").await, (json!("acme/secret"), Value::Null));
    assert_eq!(bob.named("acme", "secret").await, (Value::Null, json!("NOT_FOUND")));
    assert_eq!(bob.get("/repos/acme/secret/pulls/1").await.status(), 404);
    assert_eq!(ada.named("guarded", "api").await, (json!("guarded/api"), Value::Null));
    assert_eq!(bob.named("guarded", "api").await, (Value::Null, json!("FORBIDDEN")));
    let guarded = bob.get("/repos/guarded/api/pulls/1").await;
    assert_eq!(guarded.status(), 403);
    assert!(guarded.headers()["x-github-sso"].to_str().unwrap().starts_with("required; url="));
    assert_eq!(bob.named("acme", "server").await.0, json!("acme/api"), "renamed");
    assert_eq!(bob.get("/repos/acme/server/pulls/1").await.status(), 301);

    world.github.exhaust_rate_limit("bob", true);
    let limited = bob.get("/user").await;
    assert_eq!(limited.status(), 403);
    assert_eq!(limited.headers()["x-ratelimit-remaining"], "0");
    assert_eq!(bob.named("acme", "api").await.1, json!("RATE_LIMITED"));
    assert_eq!(ada.get("/user").await.status(), 200, "limits are per person");
    world.github.revoke_token(&ada.token);
    assert_eq!(ada.get("/user").await.status(), 401);
}

#[tokio::test]
async fn the_list_lacks_discussion_and_sorts_as_github_does() {
    let world = world().await;
    let ada = Caller::new(&world, "ada");
    let numbers = async |query: &str| -> Vec<u64> {
        let listed: Value =
            ada.get(&format!("/repos/acme/api/pulls?{query}")).await.json().await.unwrap();
        let all = listed.as_array().unwrap();
        assert!(all.iter().all(|one| one.get("comments").is_none()), "{listed}");
        all.iter().map(|one| one["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("state=open").await, [3, 2, 1], "the newest first");
    assert_eq!(numbers("sort=popularity").await, [3, 1, 2], "ascending unless asked otherwise");
    assert_eq!(numbers("sort=popularity&direction=desc&per_page=2").await, [2, 1]);
    let whole: Value = ada.get("/repos/acme/api/pulls/2").await.json().await.unwrap();
    assert_eq!(whole["comments"], 7);
    ada.get("/repos/acme/api/pulls?order=desc").await;
    assert_eq!(world.take_unexpected().len(), 1, "an unknown parameter");
}
