//! What tests of several rooms need.

use std::sync::Arc;

use super::{AccountLinking, Keyring, LinkingSettings, linking::Accounts};
use crate::{
    domain::{AuthMode, Clock, Entropy, Secret, SystemEntropy},
    store::Store,
    upstream::{
        scalekit::{Scalekit, ScalekitSettings},
        transport::{Transport, TransportSettings},
    },
};

/// Linking on this store, at a Scalekit that nobody ever reaches.
pub(crate) fn linking(mode: AuthMode, store: Store, clock: Arc<dyn Clock>) -> AccountLinking {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let settings = TransportSettings { max_retries: 0, ..TransportSettings::default() };
    let transport = Transport::new(settings, Arc::clone(&entropy)).unwrap();
    let settings = ScalekitSettings {
        environment_url: "http://127.0.0.1:1".parse().unwrap(),
        client_id: "skc_1".to_owned(),
        client_secret: Secret::from("secret".to_owned()),
        connection_name: "github".to_owned(),
    };
    AccountLinking::new(
        LinkingSettings { mode, public_base_url: "http://127.0.0.1:3000".parse().unwrap() },
        Accounts::Linked(Scalekit::new(settings, transport, Arc::clone(&clock))),
        store,
        Keyring::new(Secret::from("k".repeat(32)), Vec::new()),
        None,
        clock,
        entropy,
    )
}
