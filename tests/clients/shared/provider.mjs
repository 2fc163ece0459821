//! What both TypeScript SDKs ask their host for during OAuth: who the client is, where tokens are kept, and the
//! person's browser. Everything else, from discovery to PKCE, is the SDK's own doing.
import { randomUUID } from "node:crypto";

export const CLIENT_NAME = "Client of the checks";

export class Provider {
  /** Where the SDK sent the person last. */
  authorizationUrl = undefined;
  /** How often it did. */
  asked = 0;
  kept = {};

  /**
   * `information`: a client that has a client_id already. `clientMetadataUrl`: one that offers a document about itself.
   */
  constructor({ redirect, information, clientMetadataUrl }) {
    this.redirectUrl = redirect;
    this.kept.information = information;
    this.clientMetadataUrl = clientMetadataUrl;
  }

  get clientMetadata() {
    return {
      client_name: CLIENT_NAME,
      redirect_uris: [this.redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

  state() {
    this.kept.state = randomUUID();
    return this.kept.state;
  }

  clientInformation() {
    return this.kept.information;
  }

  saveClientInformation(information) {
    this.kept.information = information;
  }

  tokens() {
    return this.kept.tokens;
  }

  saveTokens(tokens) {
    this.kept.tokens = tokens;
  }

  codeVerifier() {
    return this.kept.verifier;
  }

  saveCodeVerifier(verifier) {
    this.kept.verifier = verifier;
  }

  discoveryState() {
    return this.kept.discovery;
  }

  saveDiscoveryState(discovery) {
    this.kept.discovery = discovery;
  }

  redirectToAuthorization(url) {
    this.authorizationUrl = new URL(url);
    this.asked += 1;
  }

  invalidateCredentials(what) {
    if (what === "all" || what === "client") this.kept.information = undefined;
    if (what === "all" || what === "tokens") this.kept.tokens = undefined;
    if (what === "all" || what === "verifier") this.kept.verifier = undefined;
    if (what === "all" || what === "discovery") this.kept.discovery = undefined;
  }
}
