import { createRoute, z } from "@hono/zod-openapi";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { WalletAddress } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  getWallet,
  linkWallet,
  unlinkOthers,
  unlinkWallet,
  type WalletOwner,
  type WalletRow,
  walletsOf,
} from "../../db/wallets.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import { walletAddress } from "../../protocol/ids.ts";
import type { Answer } from "../../protocol/internal/account.ts";
import type { Identity } from "../../protocol/internal/session.ts";
import { timeText } from "../../protocol/network/common.ts";
import {
  askWalletChallenge,
  challenge as challengeShape,
  linkWallet as linkShape,
  unlinkedWallet,
  unlinkWallet as unlinkShape,
  walletList,
  wallet as walletShape,
} from "../../protocol/network/sign-in.ts";
import { giveChallenge, type Purpose, takeProof } from "../challenges.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";

const wallet = named("Wallet", walletShape);
const tags = ["Sign-in"];

const getWallets = createRoute({
  method: "get",
  path: "/wallets",
  tags,
  summary: "The member's wallets",
  description: "The wallets that sign the member in, and those that restore access, oldest first.",
  ...byKey,
  responses: { 200: answers(walletList.extend({ data: z.array(wallet) }), "The wallets."), ...problems },
});

const postChallenge = createRoute({
  method: "post",
  path: "/wallets/challenge",
  tags,
  summary: "Ask for a message that links or unlinks",
  description:
    "A message as `/auth/challenge` gives it, that says what signing it will do: it names the account, and counts for that alone.",
  ...byKeyWithJson,
  request: { body: takes(askWalletChallenge) },
  responses: { 200: answers(named("Challenge", challengeShape), "The challenge."), ...problems },
});

const postWallet = createRoute({
  method: "post",
  path: "/wallets",
  tags,
  summary: "Link a wallet",
  description:
    "Links a wallet that nobody has to the member who asks, with the wallet's own signature: by a session, or a key that may do " +
    "all that the member's role allows. A wallet that is linked already changes nothing. From the session of a recovery wallet " +
    "it restores access: the member's other wallets that sign in are unlinked and all of its sessions end, but its API keys stay.",
  ...byKeyWithJson,
  request: { body: takes(linkShape) },
  responses: { 200: answers(wallet, "The wallet."), ...problems },
});

const deleteWallet = createRoute({
  method: "delete",
  path: "/wallets/{address}",
  tags,
  summary: "Unlink a wallet",
  description:
    "Unlinks a wallet, with its own signature or that of another one that signs the member in, and ends the sessions that it has " +
    "begun. The last one that signs in stays. Unlinking twice changes nothing.",
  ...byKeyWithJson,
  request: { params: z.object({ address: walletAddress }), body: takes(unlinkShape) },
  responses: { 200: answers(named("UnlinkedWallet", unlinkedWallet), "What became of it."), ...problems },
});

export const wallets = newApi();

wallets.openapi(getWallets, async (c) => {
  const { account, secretHash } = c.var.key;
  const mayRead = await onAccount(c.env, account, (object) => object.check({ secretHash }, "read"));
  if (!mayRead.ok) return problem(c, mayRead.refusal);
  const who = await identityOf(c.env, c.var.key);
  if (!who.ok) return problem(c, who.refusal);
  const rows = await walletsOf(c.env.DB, { account, member: who.value.member });
  return c.json({ data: rows.map(shownWallet) }, 200);
});

wallets.openapi(postChallenge, async (c) => {
  const { account } = c.var.key;
  const asked = c.req.valid("json");
  const who = await identityOf(c.env, c.var.key);
  if (!who.ok) return problem(c, who.refusal);
  const owner = { account, member: who.value.member };
  const isLink = asked.purpose === "link";
  const barred = isLink ? barLink(who.value, asked.role) : barWallets(who.value);
  if (barred !== null) return problem(c, barred);
  const purpose = isLink ? linking(owner, asked.role) : unlinking(owner, asked.wallet);
  const given = await giveChallenge(c, asked.address, purpose);
  if (!given.ok) return problem(c, given.refusal);
  const { input, message, expiresAt } = given.value;
  return c.json(
    { input: { ...input, resources: [...input.resources] }, message, expires_at: timeText(expiresAt) },
    200,
  );
});

wallets.openapi(postWallet, async (c) => {
  const { account } = c.var.key;
  const { role, ...proof } = c.req.valid("json");
  const who = await identityOf(c.env, c.var.key);
  if (!who.ok) return problem(c, who.refusal);
  const barred = barLink(who.value, role);
  if (barred !== null) return problem(c, barred);
  const owner = { account, member: who.value.member };
  const before = await getWallet(c.env.DB, proof.address);
  let row = before;
  if (row === null) {
    if ((await walletsOf(c.env.DB, owner)).length >= LIMITS.memberWallets) return problem(c, refuse("wallet_limit"));
    const proven = await takeProof(c, proof, linking(owner, role));
    if (!proven.ok) return problem(c, proven.refusal);
    row = await linkWallet(c.env.DB, { ...owner, address: proof.address, role, linked_at: Date.now() });
  }
  if (!isOf(row, owner) || row.role !== role) return problem(c, refuse("wallet_linked", { param: "address" }));
  // Also where it was linked before: an earlier try may have ended here.
  if (who.value.recovery !== null) {
    await unlinkOthers(c.env.DB, owner, proof.address);
    await endSessions(c.env, owner, null);
  }
  const recovered = who.value.recovery !== null;
  emit("wallet_linked", { ...owner, role, recovered, request_id: c.var.requestId });
  return c.json(shownWallet(row), 200);
});

wallets.openapi(deleteWallet, async (c) => {
  const { account } = c.var.key;
  const { address } = c.req.valid("param");
  const proof = c.req.valid("json");
  const who = await identityOf(c.env, c.var.key);
  if (!who.ok) return problem(c, who.refusal);
  const barred = barWallets(who.value);
  if (barred !== null) return problem(c, barred);
  const owner = { account, member: who.value.member };
  const row = await getWallet(c.env.DB, address);
  const isThere = row !== null && isOf(row, owner);
  if (isThere) {
    const signer = proof.address === address ? row : await getWallet(c.env.DB, proof.address);
    const maySign = signer !== null && isOf(signer, owner) && (signer.address === address || signer.role === "sign_in");
    if (!maySign) return problem(c, refuse("wallet_not_found", { param: "address" }));
    const proven = await takeProof(c, proof, unlinking(owner, address));
    if (!proven.ok) return problem(c, proven.refusal);
    if (!(await unlinkWallet(c.env.DB, owner, address))) return problem(c, refuse("last_wallet"));
    emit("wallet_unlinked", { ...owner, role: row.role, request_id: c.var.requestId });
  }
  // Also where it was unlinked before: an earlier try may have ended here.
  await endSessions(c.env, owner, address);
  return c.json({ address, unlinked: isThere }, 200);
});

function linking({ account, member }: WalletOwner, role: WalletRow["role"]): Purpose {
  const use = role === "sign_in" ? "to sign in to it" : "to restore access to it";
  const subject = JSON.stringify([account, member, role]);
  return { purpose: "link", subject, statement: `Link this wallet to the Tollmill account ${account}, ${use}.` };
}

function unlinking({ account, member }: WalletOwner, wallet: WalletAddress): Purpose {
  const subject = JSON.stringify([account, member, wallet]);
  return { purpose: "unlink", subject, statement: `Unlink the wallet ${wallet} from the Tollmill account ${account}.` };
}

function identityOf(env: Env, { account, secretHash }: ApiKey): Promise<Answer<Identity>> {
  return onAccount(env, account, (object) => object.identity({ secretHash }));
}

/** Why somebody may not look after the member's wallets, or null: they sign in to all that the role allows, for good. */
function barWallets({ whole }: Identity): Refusal | null {
  if (whole) return null;
  const detail =
    "Wallets sign in to all that a member may do, so a key for less, or for a time, cannot link or unlink them.";
  return refuse("forbidden", { detail });
}

function barLink(who: Identity, role: WalletRow["role"]): Refusal | null {
  if (who.recovery === null) return barWallets(who);
  if (role === "sign_in") return null;
  return refuse("forbidden", { detail: "A recovery wallet links a wallet that signs in.", param: "role" });
}

function isOf(row: WalletRow, { account, member }: WalletOwner): boolean {
  return row.account === account && row.member === member;
}

async function endSessions(env: Env, { account, member }: WalletOwner, wallet: WalletAddress | null): Promise<void> {
  await onAccount(env, account, (object) => object.sessions({ type: "unlinked", member, wallet }));
}

function shownWallet({ address, role, member, linked_at }: WalletRow) {
  return { address, role, member, linked_at: timeText(linked_at) };
}
