//! What really came over the wire: a `fetch` that keeps the text of every answer, errors and streams included.

const LARGEST_RECORD_CHARS = 4_000_000;

export class Wire {
  /** Everything the server has answered so far. */
  received = "";
  /** The session that the server named last, if any. */
  sessionId = undefined;
  /** Method and path of every request, in order. */
  requests = [];

  fetch = async (input, init) => {
    this.requests.push(`${init?.method ?? input.method ?? "GET"} ${new URL(input.url ?? input).pathname}`);
    const response = await fetch(input, init);
    this.sessionId = response.headers.get("mcp-session-id") ?? this.sessionId;
    if (!response.body) return response;
    const decoder = new TextDecoder();
    const listening = new TransformStream({
      transform: (chunk, controller) => {
        this.received = (this.received + decoder.decode(chunk, { stream: true })).slice(-LARGEST_RECORD_CHARS);
        controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(listening), {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    });
  };
}
