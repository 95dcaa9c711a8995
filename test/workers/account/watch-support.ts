/** Watching an account as the edge does. */

import { WATCH_HEADER, type WatchRefusal } from "../../../protocol/internal/watch.ts";
import { type Mark, parseMark } from "../../../protocol/network/live-balance.ts";
import { LiveWatcher } from "../../support/live-watcher.ts";
import type { Bank } from "./bank.ts";

interface Wish {
  readonly secretHash?: string;
  readonly after?: string;
  readonly acknowledges?: boolean;
}

async function ask(
  { stub, credentials }: Bank,
  { secretHash = credentials.secretHash, after }: Wish,
): Promise<Response> {
  const mark: Mark | null = after === undefined ? null : parseMark(after);
  const headers = {
    upgrade: "websocket",
    [WATCH_HEADER]: JSON.stringify({ credentials: { secretHash }, after: mark }),
  };
  return await stub.fetch("https://account/live", { headers });
}

/** Watches an account, and has its snapshot. */
export async function watch(bank: Bank, wish: Wish = {}): Promise<LiveWatcher> {
  const { webSocket } = await ask(bank, wish);
  if (webSocket === null) throw new Error("not let in");
  const watcher = new LiveWatcher(webSocket, wish);
  webSocket.accept();
  await watcher.until(() => watcher.told.length > 0, "a snapshot");
  return watcher;
}

/** The code of the refusal that a watcher gets. */
export async function refusedWatch(bank: Bank, wish: Wish = {}): Promise<string> {
  const response = await ask(bank, wish);
  return (await response.json<WatchRefusal>()).refusal.code;
}
