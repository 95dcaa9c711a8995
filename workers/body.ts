/** Bodies of requests: JSON in UTF-8, never more of it in memory than is allowed. */

import { refuse } from "../core/errors.ts";
import type { Answer } from "../protocol/internal/account.ts";

const JSON_TYPE = /^application\/json *(;|$)/i;

/**
 * Reads the text of a JSON body of at most `limit` bytes. A body that turns out to be longer is refused while it streams,
 * and the rest of it is never read. Whether the text is JSON is left to its reader.
 */
export async function readJsonText(request: Request, limit: number): Promise<Answer<string>> {
  if (!JSON_TYPE.test(request.headers.get("content-type") ?? "")) {
    return { ok: false, refusal: refuse("unsupported_media_type") };
  }
  const bytes = await readBytes(request, limit);
  if (bytes === null) {
    return { ok: false, refusal: refuse("request_too_large", { detail: `The body may have ${limit} bytes at most.` }) };
  }
  try {
    return { ok: true, value: new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes) };
  } catch {
    return { ok: false, refusal: refuse("invalid_json", { detail: "The body is not valid UTF-8." }) };
  }
}

/** The body's bytes, or null when there are more than `limit`. */
async function readBytes(request: Request, limit: number): Promise<Uint8Array | null> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > limit) return null;
  if (request.body === null) return new Uint8Array();
  // HTTP holds a body to the length that it was announced with.
  if (announced !== null) {
    const bytes = new Uint8Array(await request.arrayBuffer());
    return bytes.length > limit ? null : bytes;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length > limit) return null;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
