/**
 * Tickets: what a daemon is given with a job and echoes with its claim. Sealed with AES-GCM under a key that only the
 * edge has, so that a relay which has forgotten a job recognises its claim, and a daemon learns nothing of the consumer.
 */

import { base64url } from "../../core/keys.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import type { TicketContent } from "../../protocol/internal/job.ts";
import { edgeKeyOf } from "../shared/settings.ts";

const IV_BYTES = 12;
const INFO = utf8ToBytes("tollmill/ticket/v1");

let cached: { readonly edgeKey: string; readonly key: CryptoKey } | undefined;

async function ticketKey(env: { readonly EDGE_KEY: string }): Promise<CryptoKey> {
  const edgeKey = env.EDGE_KEY;
  if (cached?.edgeKey === edgeKey) return cached.key;
  const key = await deriveKey(edgeKeyOf(env));
  cached = { edgeKey, key };
  return key;
}

async function deriveKey(edgeKey: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  const root = await crypto.subtle.importKey("raw", edgeKey, "HKDF", false, ["deriveKey"]);
  const salt = new Uint8Array(32);
  const info = new Uint8Array(INFO);
  return await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt, info },
    root,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/** Seals a ticket: base64url of the nonce and the ciphertext. */
export async function sealTicket(env: { readonly EDGE_KEY: string }, content: TicketContent): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const text = new Uint8Array(utf8ToBytes(JSON.stringify(content)));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await ticketKey(env), text);
  return base64url(new Uint8Array([...iv, ...new Uint8Array(sealed)]));
}

/** Opens a ticket; null when it was not sealed by this network. */
export async function openTicket(env: { readonly EDGE_KEY: string }, ticket: string): Promise<TicketContent | null> {
  const bytes = decode(ticket);
  if (bytes === null || bytes.length <= IV_BYTES) return null;
  try {
    const iv = bytes.slice(0, IV_BYTES);
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await ticketKey(env), bytes.slice(IV_BYTES));
    return JSON.parse(new TextDecoder().decode(plain)) as TicketContent;
  } catch {
    return null;
  }
}

function decode(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return null;
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) =>
      character.charCodeAt(0),
    );
  } catch {
    return null;
  }
}
