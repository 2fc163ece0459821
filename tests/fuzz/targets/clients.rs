//! Registrations, signed client identifiers, and requests of clients to authorize.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pr_summarizer::{
    domain::{Secret, SystemClock, SystemEntropy},
    identity::Keyring,
    oauth::{AuthorizationRequest, ClientDocuments, Clients, Endpoints, RedirectPolicy, Refusal},
};
use tokio::runtime::Runtime;
use url::Url;

struct Server {
    clients: Clients,
    endpoints: Endpoints,
    runtime: Runtime,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let public = Url::parse("https://prs.example.com/").expect("a constant");
    let keys = Keyring::new(
        Secret::from("a secret of the fuzzer only, and nobody's".to_owned()),
        Vec::new(),
    );
    let endpoints = Endpoints::new(&public, false);
    let policy = RedirectPolicy::new(&[], public);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let clients =
        Clients::new(keys, endpoints.issuer(), policy, ClientDocuments::none(), clock, entropy);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    Server { clients, endpoints, runtime }
});

fuzz_target!(|given: (u8, &[u8], &[u8])| {
    let (kind, one, two) = given;
    let Server { clients, endpoints, runtime } = &*SERVER;
    match kind % 3 {
        0 => {
            if let Ok(answer) = clients.register(one) {
                let id = answer["client_id"].as_str().expect("an answer has an identifier");
                clients.recognize(id).expect("what was registered is known");
                // With another's bytes behind it, it is nobody's.
                let mut forged = id.to_owned();
                forged.push_str(&String::from_utf8_lossy(two));
                assert!(two.is_empty() || clients.recognize(&forged).is_err());
            }
        }
        1 => {
            let forged = String::from_utf8_lossy(one);
            assert!(clients.recognize(&forged).is_err(), "nobody signed this");
        }
        _ => match runtime.block_on(AuthorizationRequest::parse(one, clients, endpoints)) {
            Ok(_) => panic!("nobody registered"),
            // Nobody is redirected for a client that is not known.
            Err(Refusal::Redirect(..)) => panic!("somebody would be redirected"),
            Err(Refusal::Page(_)) => {}
        },
    }
});
