//! Asking the person in a client of the era without sessions (MCP 2026-07-28, input requests).
//!
//! The first answer asks the client to open our link; the client brings the request back with the
//! person's decision and a state we sealed. The state holds the flow's id and nothing else: it is
//! signed, not encrypted. It is bound to the tool and its arguments, and to the principal where
//! there is one; it works once, for fifteen minutes.

use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{
        ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, InputRequest,
        InputRequiredResult, InputResponses, ProtocolVersion, RequestStateCodec, SealOptions,
    },
    service::RequestContext,
};

use crate::{
    domain::{Failure, FailureCode, FlowId, PrincipalId, failure::Result, identifier::sha256_hex},
    identity::{Keyring, Purpose, linking::PendingLink},
};

/// Under which key the one input request stands.
const AUTHORIZE: &str = "authorize";

/// As long as the flow it names.
const LIFETIME: Duration = Duration::from_mins(15);

/// Seals and opens request states.
#[derive(Debug)]
pub(super) struct RequestStates(RequestStateCodec);

/// What the person decided, as the client tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The client opened the link, or says so.
    Opened,
    /// The person does not want to.
    Declined,
    /// The client brought no answer.
    Missing,
}

impl RequestStates {
    /// States under the keyring's keys.
    pub(super) fn new(keyring: &Keyring) -> Result<Self> {
        let keys = keyring.derived(Purpose::RequestState);
        let active = keys.first().map(|(name, _)| name.clone()).unwrap_or_default();
        let keys = keys.into_iter().map(|(name, key)| (name, key.to_vec()));
        RequestStateCodec::new_with_keyring(active, keys).map(Self).map_err(|error| {
            Failure::new(FailureCode::Internal, "The keys for request states do not fit.")
                .caused_by(error)
        })
    }

    fn seal(&self, flow: &FlowId, binding: &Binding) -> String {
        let bound = binding.bytes();
        let options = SealOptions::new().associated_data(&bound).ttl(LIFETIME);
        self.0.seal_with(flow.as_str().as_bytes(), &options)
    }

    /// The flow of a state that came back; `None` for anything we did not seal for this request.
    pub(super) fn open(&self, sealed: &str, binding: &Binding) -> Option<FlowId> {
        let opened = self.0.open_with(sealed, &binding.bytes()).ok()?;
        FlowId::parse(std::str::from_utf8(&opened).ok()?)
    }

    /// Asks the client to open the link.
    pub(super) fn ask(&self, link: &PendingLink, binding: &Binding) -> InputRequiredResult {
        let params = ElicitRequestParams::UrlElicitationParams {
            meta: None,
            message: "Connect your GitHub account, so that pull requests are read with your own \
                      access."
                .to_owned(),
            url: link.url.to_string(),
            elicitation_id: String::new(),
        };
        let request = InputRequest::Elicitation(ElicitRequest::new(params));
        let state = self.seal(&link.flow, binding);
        InputRequiredResult::new(Some([(AUTHORIZE.to_owned(), request)].into()), Some(state))
    }
}

/// What a state is good for.
#[derive(Debug)]
pub(super) struct Binding {
    /// `None` where the state itself is what tells the principal (a client without sessions that
    /// has no handle yet; on loopback both are secrets of this machine).
    pub(super) principal: Option<PrincipalId>,
    pub(super) tool: &'static str,
    /// The arguments as they were sent.
    pub(super) arguments: String,
}

impl Binding {
    fn bytes(&self) -> Vec<u8> {
        let principal = self.principal.as_ref().map_or("", PrincipalId::as_str);
        let arguments = sha256_hex(self.arguments.as_bytes());
        format!("{principal}|{}|{arguments}", self.tool).into_bytes()
    }
}

/// What the person decided.
pub(super) fn decision(responses: Option<&InputResponses>) -> Decision {
    let answer = responses
        .and_then(|responses| responses.get(AUTHORIZE))
        .and_then(|answer| serde_json::from_value::<ElicitResult>(answer.clone()).ok());
    match answer.map(|answer| answer.action) {
        Some(ElicitationAction::Accept) => Decision::Opened,
        Some(_) => Decision::Declined,
        None => Decision::Missing,
    }
}

/// Whether the client declared that it can open a link for the person. Hosts that declare bare
/// `elicitation: {}` mean forms.
pub(super) fn can_ask(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
        && context
            .client_capabilities()
            .and_then(|capabilities| capabilities.elicitation)
            .is_some_and(|elicitation| elicitation.url.is_some())
}
