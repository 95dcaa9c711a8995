/** Server-sent events as their reader gets them. */

/** The data of each event of a text, `[DONE]` included; comments are left out. */
export function eventsOf(text: string): string[] {
  return text
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => event.slice("data: ".length));
}

export interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string }; readonly finish_reason: string | null }[];
  readonly usage?: { readonly completion_tokens: number; readonly cost: string } | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The chunks of a text, without `[DONE]`. */
export function chunksOf(text: string): Chunk[] {
  return eventsOf(text)
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data) as Chunk);
}

export function textOf(chunks: readonly Chunk[]): string {
  return chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
}
