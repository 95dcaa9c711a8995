/** Signing in to a network with a wallet, and keeping the session fresh. */

import { createHash, randomBytes } from "node:crypto";
import type { z } from "zod";
import { challenge, openedSession, signedIn } from "../../protocol/network/sign-in.ts";
import { signInMessage } from "../../protocol/sign-in-message.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Wallet } from "../identity/keypair-file.ts";
import { callJson, Refused } from "./api.ts";
import { type KeptSession, readSession, removeSession, writeSession } from "./session-file.ts";
import type { Settings } from "./settings.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type Challenge = z.infer<typeof challenge>;

/** A token that ends within this time is refreshed first: a call and clocks that differ take some. */
const MARGIN_MS = 2 * 60_000;

/** A wallet's answer to a challenge. */
export interface Proof {
  readonly address: string;
  readonly message: string;
  readonly signature: string;
}

/** Asks for a challenge and signs it. `path` and `body` say which; the answer's text is written here, not taken over. */
export async function prove(settings: Settings, wallet: Wallet, path: string, body: object): Promise<Proof> {
  const { address } = wallet;
  const call = { method: "POST", body: { address, ...body } } as const;
  const given = await callJson(settings, path, challenge, call);
  const message = textOf(given, settings.url, wallet);
  return { address, message, signature: wallet.sign(message) };
}

/** What a wallet looks at before it signs: the text is a sign-in message, for this very network and this wallet. */
function textOf({ input, message }: Challenge, url: string, { address }: Wallet): string {
  const isOurs = input.domain === new URL(url).host && input.uri === url && input.address === address;
  if (isOurs && signInMessage(input) === message) return message;
  throw new Failure(
    EXIT.refused,
    `${url} asks for a signature that is not for it (${JSON.stringify(input.domain)}), so nothing was signed.`,
  );
}

/** Signs in and keeps the session. */
export async function signIn(env: Environment, settings: Settings, wallet: Wallet) {
  const open = { ...settings, apiKey: null };
  const proof = await prove(open, wallet, "/api/v1/auth/challenge", {});
  const session = await callJson(open, "/api/v1/auth/verify", signedIn, { method: "POST", body: proof });
  await keep(env, settings.url, session, randomBytes(16).toString("hex"));
  return session;
}

/** The access token of this machine's session with a network, refreshed where it is about to end; null where there is none. */
export async function accessToken(env: Environment, url: string): Promise<string | null> {
  const session = await readSession(env, url);
  if (session === null) return null;
  if (Date.parse(session.access_expires_at) - Date.now() > MARGIN_MS) return session.access_token;
  const { refresh_token, salt } = session;
  // Two commands at once, and one that was killed on the way, make the same call and get the same tokens.
  const idempotencyKey = createHash("sha256").update(`${salt}\n${refresh_token}`).digest("hex");
  const call = { method: "POST", body: { refresh_token }, idempotencyKey } as const;
  try {
    const next = await callJson({ url, apiKey: null }, "/api/v1/auth/refresh", openedSession, call);
    return (await keep(env, url, next, salt)).access_token;
  } catch (error) {
    if (!(error instanceof Refused) || error.code === null || error.code === "rate_limited") throw error;
    await removeSession(env, url);
    throw error;
  }
}

async function keep(
  env: Environment,
  url: string,
  { account, access_token, access_expires_at, refresh_token }: z.infer<typeof openedSession>,
  salt: string,
): Promise<KeptSession> {
  if (access_token === null || refresh_token === null) {
    throw new Failure(EXIT.unreachable, `${url} gave no tokens. Update tollmill.`);
  }
  const session = { url, account, access_token, access_expires_at, refresh_token, salt };
  await writeSession(env, session);
  return session;
}
