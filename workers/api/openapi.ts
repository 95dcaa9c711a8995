/** The OpenAPI document of both APIs. */

import { ROLE_SCOPES, ROLES, runsTeam } from "../../core/account/team.ts";
import { version } from "../../package.json";
import { newApi } from "./app.ts";
import { api } from "./index.ts";
import { describeInference } from "./inference-reference.ts";

const DESCRIPTION = `Tollmill is an open market for AI inference on Cloudflare's edge: one OpenAI-compatible API, anyone's
GPU, a signed receipt for every answer.

Calls under \`/v1\` speak OpenAI's dialect, errors included. Calls under \`/api/v1\` are the network's own; they refuse
with problems as in RFC 9457, amounts are decimal strings of credits or USD, times are RFC 3339, and lists page by cursor.
Every answer carries \`x-request-id\`.`;

const TAGS = [
  { name: "Inference", description: "OpenAI's calls." },
  {
    name: "Sign-in",
    description:
      "Sessions of wallets. A member who signs in may do what its role allows, wherever an API key is taken. The first " +
      "sign-in of a wallet opens an account.",
  },
  { name: "Account", description: "Balance, ledger, and what a job would cost." },
  { name: "Money", description: "Packages, and deposits in USDC." },
  { name: "Keys", description: "The account's API keys." },
  {
    name: "Team",
    description:
      "Members of an account, their roles, and invites. A key never does more than its member's role allows.\n\n" +
      "| role | scopes of its keys | keys it manages | team |\n| --- | --- | --- | --- |\n" +
      ROLES.map((role) => {
        const [whose, runs] = runsTeam(role) ? ["everyone's", "runs it"] : ["its own", "sees it, may leave"];
        const scopes = ROLE_SCOPES[role];
        return `| \`${role}\` | ${scopes.join(", ")} | ${scopes.includes("manage") ? whose : "none"} | ${runs} |`;
      }).join("\n"),
  },
  { name: "Jobs", description: "Jobs that wait or run." },
  { name: "Receipts", description: "The network's signed record of each job." },
  { name: "Market", description: "What is asked, what waits, and how auctions were decided." },
  { name: "Supply", description: "Daemons: the GPUs that serve." },
  {
    name: "Private networks",
    description:
      "Networks of accounts that serve each other at rates their admins set. Nobody else can use them, or learn of them.",
  },
  { name: "Network", description: "What everybody may see." },
  { name: "Operations", description: "The operators' calls." },
];

// OpenAPI 3.1 names a licence by its SPDX id; the library knows 3.0's type only.
const LICENSE: { name: string } = Object.assign({ name: "Apache-2.0" }, { identifier: "Apache-2.0" });

let document: Readonly<Record<string, unknown>> | null = null;

/** The document, made once per isolate. */
export function openApiDocument(): Readonly<Record<string, unknown>> {
  document ??= makeDocument();
  return document;
}

function makeDocument(): Readonly<Record<string, unknown>> {
  const whole = newApi();
  whole.route("/api/v1", api);
  const registry = whole.openAPIRegistry;
  registry.registerComponent("securitySchemes", "apiKey", {
    type: "http",
    scheme: "bearer",
    description: "An API key of an account: `tm_…`.",
  });
  registry.registerComponent("securitySchemes", "session", {
    type: "http",
    scheme: "bearer",
    description:
      "The access token of a member who has signed in with a wallet: `tms_…`. Pages of this network have it in the cookie " +
      "`__Host-tollmill-session` instead.",
  });
  registry.registerComponent("securitySchemes", "adminKey", {
    type: "http",
    scheme: "bearer",
    description: "An operator's key.",
  });
  describeInference(registry);
  return whole.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Tollmill",
      version,
      description: DESCRIPTION,
      license: LICENSE,
    },
    servers: [{ url: "/" }],
    tags: TAGS,
  }) as unknown as Readonly<Record<string, unknown>>;
}
