/** Server-sent events read from a fetch body: EventSource cannot send the key's header. */

/** The data of every event of a stream, in order (the WHATWG event stream format). */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r\n\r\n|\n\n|\r\r/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = dataOf(block);
      if (data !== null) yield data;
    }
  }
}

/** The data of one event; null for a comment, which only keeps the connection alive. */
export function dataOf(block: string): string | null {
  const data = block
    .split(/\r\n|\n|\r/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).replace(/^ /, ""));
  return data.length ? data.join("\n") : null;
}

/** The idea that an event speaks of; null if it speaks of none. */
export function changedIdea(data: string): string | null {
  const event = parsed(data) as { id?: unknown; idea?: { id?: unknown } } | null;
  const id = event?.idea?.id ?? event?.id;
  return typeof id === "string" ? id : null;
}

/** Whether an event says that a post is no longer behind its idea, so that its words may have to go. */
export function losesPost(data: string): boolean {
  return (parsed(data) as { kind?: unknown } | null)?.kind === "evidence_removed";
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
