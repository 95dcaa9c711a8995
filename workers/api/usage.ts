import { createRoute } from "@hono/zod-openapi";
import { stringify } from "csv-stringify/browser/esm/sync";
import { addGroups, type Usage } from "../../core/account/usage.ts";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { DAY_MS } from "../../core/time.ts";
import { formatCredits, formatUsd } from "../../core/units.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import type { Answer, UsageQuery } from "../../protocol/internal/account.ts";
import { timeText } from "../../protocol/network/common.ts";
import { type UsageRow, usagePage, usageQuery } from "../../protocol/network/usage.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { byKey, named, newApi, problems } from "./app.ts";

const DEFAULT_DAYS = 30;

const getUsage = createRoute({
  method: "get",
  path: "/usage",
  tags: ["Account"],
  summary: "What was used, summed up",
  description:
    "Jobs, tokens and charges of the account by day, model, key, member or lane, added up from its ledger. Requests that were " +
    "refused before anything was reserved leave no entry and are not counted. Keys and members are shown with their names, to " +
    "every key that may `read`. `csv` has the same rows; where there is a " +
    "next page the header `link` names it.",
  ...byKey,
  request: { query: usageQuery },
  responses: {
    200: {
      description: "The summary.",
      content: {
        "application/json": { schema: named("UsagePage", usagePage) },
        "text/csv": { schema: { type: "string" as const } },
      },
    },
    ...problems,
  },
});

export const usage = newApi();

usage.openapi(getUsage, async (c) => {
  const { by = "day", format = "json", to = null, cursor = null, ...query } = c.req.valid("query");
  const from = query.from ?? startOfDay((to ?? Date.now()) - DEFAULT_DAYS * DAY_MS);
  if (to !== null && to < from) {
    return problem(c, refuse("invalid_request", { detail: "to: must not be before `from`.", param: "to" }));
  }
  const page = await readPage(c.env, c.var.key, { by, from, to, cursor });
  if (!page.ok) return problem(c, page.refusal);
  const { rows, next } = page.value;
  if (format === "json") {
    return c.json({ by, from: timeText(from), to: to === null ? null : timeText(to), data: rows, next }, 200);
  }
  if (next !== null) {
    const url = new URL(c.req.url);
    url.searchParams.set("from", timeText(from));
    url.searchParams.set("cursor", String(next));
    c.header("link", `<${url.pathname}${url.search}>; rel="next"`);
  }
  return c.body(csvOf(by, rows), 200, { "content-type": "text/csv; charset=utf-8" });
});

interface Page {
  readonly rows: UsageRow[];
  readonly next: number | null;
}

/** A page: some hundred short calls, between which the account serves others. */
async function readPage(env: Env, key: ApiKey, query: UsageQuery): Promise<Answer<Page>> {
  const { account, secretHash } = key;
  const groups = new Map<string, Usage>();
  const names = new Map<string, string>();
  let next = query.cursor;
  for (let call = 0; call < LIMITS.usageCalls; call++) {
    const part = { ...query, cursor: next };
    const answer = await onAccount(env, account, (object) => object.usage({ secretHash }, part));
    if (!answer.ok) return answer;
    addGroups(groups, answer.value.groups);
    for (const [id, name] of answer.value.names) names.set(id, name);
    next = answer.value.next;
    if (next === null) break;
  }
  const sorted = [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    ok: true,
    value: { rows: sorted.map(([group, used]) => rowOf(group, names.get(group) ?? null, used)), next },
  };
}

function rowOf(group: string, name: string | null, used: Usage): UsageRow {
  const { jobs, completed, cancelled, failed, unanswered } = used;
  return {
    group,
    name,
    jobs,
    completed,
    cancelled,
    failed,
    unanswered,
    prompt_tokens: used.promptTokens,
    completion_tokens: used.completionTokens,
    credits: formatCredits(used.millicredits),
    usd: formatUsd(used.nanoUsd),
  };
}

function csvOf(by: string, rows: readonly UsageRow[]): string {
  const fields = Object.keys(usagePage.shape.data.element.shape).filter((field) => field !== "group");
  const columns = [{ key: "group", header: by }, ...fields.map((field) => ({ key: field, header: field }))];
  return stringify([...rows], { columns, header: true, escape_formulas: true, record_delimiter: "windows" });
}

function startOfDay(time: number): number {
  return time - (time % DAY_MS);
}
