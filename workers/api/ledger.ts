import { createRoute } from "@hono/zod-openapi";
import { LIMITS } from "../../core/limits.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { ledgerPage, ledgerQuery } from "../../protocol/network/account.ts";
import { timeText } from "../../protocol/network/common.ts";
import { problem } from "../http.ts";
import { byKey, named, newApi, problems } from "./app.ts";
import { type ChainedEntry, readEntries, streamEntries } from "./entries.ts";
import { csvHead, csvRows } from "./ledger-csv.ts";

const TEXT_TYPES = { ndjson: "application/x-ndjson", csv: "text/csv; charset=utf-8" } as const;

const getLedger = createRoute({
  method: "get",
  path: "/ledger",
  tags: ["Account"],
  summary: "Everything that changed the balance",
  description:
    "The account's entries, oldest first. Each names the SHA-256 of the one before it, so `json` and `ndjson` carry the " +
    "canonical text of every entry for whoever checks the chain; `csv` is flat, for spreadsheets.",
  ...byKey,
  request: { query: ledgerQuery },
  responses: {
    200: {
      description: "The entries.",
      content: {
        "application/json": { schema: named("LedgerPage", ledgerPage) },
        "application/x-ndjson": { schema: { type: "string" as const } },
        "text/csv": { schema: { type: "string" as const } },
      },
    },
    ...problems,
  },
});

export const ledger = newApi();

ledger.openapi(getLedger, async (c) => {
  const { format = "json", from = 1, limit, type, slice } = c.req.valid("query");
  const types = type === undefined ? undefined : [type];
  if (format === "json") {
    const page = await readEntries(c.env, c.var.key, { from, limit: limit ?? LIMITS.pageRows, types, slice });
    if (!page.ok) return problem(c, page.refusal);
    return c.json({ data: page.value.entries.map(shownEntry), next: page.value.next }, 200);
  }
  const query = { from, limit: limit ?? Number.MAX_SAFE_INTEGER, types, slice };
  const pages = await streamEntries(c.env, c.var.key, query);
  if (!pages.ok) return problem(c, pages.refusal);
  const lines = format === "csv" ? csvText(pages.value) : ndjsonText(pages.value);
  return c.body(textStream(lines, c.var.requestId), 200, { "content-type": TEXT_TYPES[format] });
});

function shownEntry({ seq, slice, at, type, body }: ChainedEntry) {
  return { seq, ...(slice > 0 && { slice }), at: timeText(at), type, body };
}

async function* ndjsonText(pages: AsyncIterable<readonly ChainedEntry[]>): AsyncGenerator<string> {
  for await (const page of pages) yield page.map((entry) => `${JSON.stringify(shownEntry(entry))}\n`).join("");
}

async function* csvText(pages: AsyncIterable<readonly ChainedEntry[]>): AsyncGenerator<string> {
  yield csvHead();
  for await (const page of pages) yield csvRows(page);
}

/** Texts as a stream of bytes that is read no faster than its reader takes it. */
function textStream(texts: AsyncGenerator<string>, requestId: string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await texts.next();
        if (done === true) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        emitError("ledger_interrupted", error, { request_id: requestId });
        controller.error(error);
      }
    },
    async cancel() {
      await texts.return(undefined);
    },
  });
}
