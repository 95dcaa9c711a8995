/** Pages for people: what landed last, one transaction, one address. Plain HTML that needs no script. */

import { type Address, isAddress, isSignature } from "@solana/kit";
import { html } from "hono/html";
import { decimalText } from "../encoding/amounts.ts";
import { mintOf, tokenOf } from "../encoding/tokens.ts";
import { encodeTransaction } from "../encoding/transactions.ts";
import { textOf } from "../errors.ts";
import type { LocalChain } from "../local-chain.ts";
import { FAUCET, ONE_MINT, SOL_DECIMALS, USDC_MINT } from "../mints.ts";
import { TOKEN, TOKEN_2022 } from "../programs.ts";
import type { Landed } from "../state/history.ts";
import { changesOf, tokenText } from "./changes.ts";
import { layout, type Markup } from "./layout.ts";

const ROWS = 50;

export interface Page {
  readonly status: number;
  readonly html: string;
}

/** The page of a path. */
export async function page({ chain }: { chain: LocalChain }, path: string): Promise<Page> {
  const [, kind, name = ""] = /^\/(tx|address)\/(\w+)$/.exec(path) ?? [];
  if (path === "/") return await shown(200, "Local Solana", home(chain));
  if (kind === "tx" && isSignature(name)) {
    const landed = chain.view().find(name);
    if (landed !== null) return await shown(200, "Transaction", transaction(chain, landed));
    return await shown(404, "Transaction", html`<p>${name} has not landed here.</p>`);
  }
  if (kind === "address" && isAddress(name)) return await shown(200, "Address", addressPage(chain, name));
  return await shown(404, "Nothing here", html`<p>There is no such page.</p>`);
}

async function shown(status: number, title: string, body: Markup): Promise<Page> {
  return { status, html: String(await layout(title, body)) };
}

function home(chain: LocalChain): Markup {
  const view = chain.view();
  const latest = chain.history.latest({ limit: ROWS, newestSlot: view.tip });
  return html`
    <dl>
      <dt>slot</dt><dd>${view.tip}, finalized ${view.slot("finalized")}</dd>
      <dt>block height</dt><dd>${view.read({ commitment: "processed" }).block.height}</dd>
      <dt>transactions</dt><dd>${chain.landedCount}</dd>
      <dt>USDC mint</dt><dd>${addressLink(USDC_MINT)}</dd>
      <dt>$ONE mint</dt><dd>${addressLink(ONE_MINT)}</dd>
      <dt>faucet</dt><dd>${addressLink(FAUCET)}</dd>
    </dl>
    <p><code>npx tollmill local faucet ADDRESS --sol 1 --usdc 100 --one 1000</code></p>
    ${table(chain, latest)}`;
}

function transaction(chain: LocalChain, landed: Landed): Markup {
  const details = JSON.stringify(encodeTransaction(landed, "jsonParsed", true), null, 2);
  const changes = changesOf(landed).map(
    ({ address, coin, text }) =>
      html`<tr><td>${addressLink(address)}</td><td class="n">${text}</td><td>${coin}</td></tr>`,
  );
  return html`
    <dl>
      <dt>signature</dt><dd class="w">${landed.signature}</dd>
      <dt>result</dt><dd>${result(landed)}</dd>
      <dt>slot</dt><dd>${landed.slot}, ${chain.view().commitmentOf(landed)}</dd>
      <dt>time</dt><dd>${timeText(landed)}</dd>
      <dt>fee</dt><dd>${decimalText(landed.feeLamports, SOL_DECIMALS)} SOL</dd>
      ${landed.memo === null ? "" : html`<dt>memo</dt><dd class="w">${landed.memo}</dd>`}
    </dl>
    <h2>Changes</h2>
    <table><thead><tr><th>address</th><th class="n">change</th><th></th></tr></thead><tbody>${changes}</tbody></table>
    <h2>Log</h2>
    <pre>${landed.logs.join("\n")}</pre>
    <h2>All of it</h2>
    <pre>${details}</pre>`;
}

function addressPage(chain: LocalChain, address: Address): Markup {
  const { slot } = chain;
  const account = chain.account(slot, address);
  const own = [TOKEN, TOKEN_2022]
    .flatMap((program) => [...chain.ownedBy(slot, program)])
    .flatMap(([at, held]) => {
      const token = tokenOf(held);
      if (token?.owner !== address && at !== address) return [];
      if (token === null) return [];
      const decimals = mintOf(chain.account(slot, token.mint))?.decimals ?? 0;
      return [
        html`<dt>${tokenText(token.mint)}</dt><dd>${decimalText(token.amount, decimals)} in ${addressLink(at)}</dd>`,
      ];
    });
  const mint = mintOf(account);
  return html`
    <dl>
      <dt>address</dt><dd class="w">${address}</dd>
      <dt>SOL</dt><dd>${decimalText(account?.lamports ?? 0n, SOL_DECIMALS)}</dd>
      ${own}
      ${mint === null ? "" : html`<dt>supply</dt><dd>${decimalText(mint.supply, mint.decimals)} ${tokenText(address)}</dd>`}
    </dl>
    ${table(chain, chain.history.of(address, { limit: ROWS, newestSlot: slot }))}`;
}

function table(chain: LocalChain, list: readonly Landed[]): Markup {
  if (list.length === 0) return html`<p>No transactions yet.</p>`;
  const view = chain.view();
  const rows = list.map(
    (landed) => html`<tr>
      <td><a href="/tx/${landed.signature}">${landed.signature.slice(0, 16)}…</a></td>
      <td class="n">${landed.slot}</td><td>${view.commitmentOf(landed)}</td><td>${timeText(landed)}</td>
      <td>${result(landed)}</td><td>${landed.memo ?? ""}</td></tr>`,
  );
  return html`<table>
    <thead><tr><th>transaction</th><th class="n">slot</th><th>state</th><th>time</th><th>result</th><th>memo</th></tr></thead>
    <tbody>${rows}</tbody></table>`;
}

function result({ error }: Landed): Markup {
  return error === null ? html`done` : html`<span class="bad">${textOf(error)}</span>`;
}

function timeText({ blockTime }: Landed): string {
  return new Date(blockTime * 1_000).toISOString().replace("T", " ").slice(0, 19);
}

function addressLink(address: Address): Markup {
  return html`<a href="/address/${address}">${address}</a>`;
}
