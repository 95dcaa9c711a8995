/**
 * Control messages between daemon and relay (interfaces.md §3). JSON text; a message of an unknown type is ignored, one
 * of a known type with a wrong field gets an `error` that names the field, and the connection lives on.
 */

import { z } from "zod";
import { LANES } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import { QUANTIZATION_TENTHS } from "../../core/pricing.ts";
import { canonicalText, signedBytes } from "../../core/receipt/canonical.ts";
import { count, daemonId, hash, jobId, signature } from "../ids.ts";

export const SUBPROTOCOL = "tollmill.v1";
export const PROTOCOL_VERSION = 1;
const CONNECT_DOMAIN = "tollmill/connect/v1";

/** The text that a daemon sends to stay alive, and what the platform answers without waking the relay. */
export const PING = "ping";
export const PONG = "pong";

export const TIERS = ["backbone", "desktop", "tablet", "phone"] as const;
export type Tier = (typeof TIERS)[number];

/** How hot a daemon's GPU is: `throttled` where it slows down for it. */
export const THERMAL = ["nominal", "warm", "throttled"] as const;
export type Thermal = (typeof THERMAL)[number];

/** What an engine can do beyond plain text; the names are the request's parameters. */
export const FEATURES = [
  "frequency_penalty",
  "image_input",
  "json_object",
  "json_schema",
  "logprobs",
  "n",
  "presence_penalty",
  "seed",
  "stop",
  "temperature",
  "tools",
  "top_logprobs",
  "top_p",
] as const;
export type Feature = (typeof FEATURES)[number];

const quantization = z.enum(Object.keys(QUANTIZATION_TENTHS) as [keyof typeof QUANTIZATION_TENTHS]);
const stream = z.int().min(0).max(0xffffffff);
const text = (most: number) => z.string().min(1).max(most);
const tokens = z.strictObject({ prompt: count, completion: count });

/** What one model of a daemon can do. `slots` are the jobs it serves at once. */
export const offeredModel = z.object({
  id: text(128),
  quantization,
  context: z.int().min(1).max(100_000_000),
  slots: z.int().min(1).max(LIMITS.daemonSlots),
  /** Measured while generating, and while reading a prompt where that is known. */
  tokens_per_second: z.number().positive().max(1_000_000),
  prefill_tokens_per_second: z.number().positive().max(10_000_000).optional(),
  loaded: z.boolean(),
  /** Unknown features are let through, so that a newer daemon can connect. */
  features: z.array(text(64)).max(LIMITS.daemonFeatures),
});
export type OfferedModel = z.infer<typeof offeredModel>;

const hello = z.object({
  type: z.literal("hello"),
  version: z.int(),
  daemon: daemonId,
  /** The session that this connection goes on with. */
  resume: text(64).optional(),
});
const proof = z.object({ type: z.literal("proof"), signature });
const offer = z.object({
  type: z.literal("offer"),
  engine: text(128),
  hardware: z.object({
    tier: z.enum(TIERS),
    gpu: z.string().max(128).nullable(),
    vram_mb: count.nullable(),
    watts: z.number().positive().max(100_000),
  }),
  usd_per_kwh: z.number().min(0).max(10),
  accepts: z.enum(["usdc", "any"]),
  models: z.array(offeredModel).min(0).max(LIMITS.daemonModels),
  /** Jobs that it serves at once over all its models; where it does not say, the most that it serves of one. */
  slots: z.int().min(1).max(LIMITS.daemonSlots).optional(),
  prices: z
    .object({
      margin: z.number().min(1).max(100).optional(),
      listed: z.record(z.string(), z.number().min(0)).optional(),
    })
    .optional(),
  networks: z.array(text(64)).max(64).optional(),
  schedule: z.string().max(256).nullable().optional(),
  on_ac_power: z.boolean().nullable().optional(),
  /** Why the daemon offers no models just now, such as `schedule`; unknown reasons are let through. */
  withdrawn_by: z.array(text(64)).max(LIMITS.daemonGates).optional(),
});
const accept = z.object({ type: z.literal("accept"), stream });
const decline = z.object({ type: z.literal("decline"), stream, reason: text(256) });
const finishReason = z.enum(["stop", "length", "tool_calls", "content_filter", "cancelled"]);
const done = z
  .object({
    type: z.literal("done"),
    /** The stream it ends; absent when a claim is sent again. */
    stream: stream.optional(),
    /** Left out where the stream is named, as its relay knows it; a claim that is sent again is known by its ticket alone. */
    ticket: text(4_096).optional(),
    job: jobId,
    fence: count,
    model: text(128),
    usage: tokens,
    finish_reason: finishReason,
    /** One for each choice, where there are several; `finish_reason` is the first one's, or "cancelled". */
    finish_reasons: z.array(finishReason).min(1).max(LIMITS.choices).optional(),
    digest: z.strictObject({ request: hash, response: hash, salt: z.string().regex(/^[0-9a-f]{32}$/) }),
    signature,
  })
  .refine(({ stream, ticket }) => stream !== undefined || ticket !== undefined, {
    path: ["ticket"],
    error: "must be there unless `stream` is",
  });
const failed = z
  .object({
    type: z.literal("failed"),
    /** The stream it ends; absent when the stream's connection was lost, and then `ticket` and `job` name the job. */
    stream: stream.optional(),
    ticket: text(4_096).optional(),
    job: jobId.optional(),
    code: text(64),
    message: z.string().max(512),
  })
  .refine(({ stream, ticket, job }) => stream !== undefined || (ticket !== undefined && job !== undefined), {
    path: ["stream"],
    error: "must be there unless `ticket` and `job` are",
  });
const status = z.object({
  type: z.literal("status"),
  load: z.number().min(0).max(1),
  thermal: z.enum(THERMAL).nullable().optional(),
  queue: count,
});
const drain = z.object({ type: z.literal("drain") });

export const daemonMessage = z.discriminatedUnion("type", [
  hello,
  proof,
  offer,
  accept,
  decline,
  done,
  failed,
  status,
  drain,
]);
export type DaemonMessage = z.infer<typeof daemonMessage>;
export type Offer = z.infer<typeof offer>;
export type Done = z.infer<typeof done>;
export type Failed = z.infer<typeof failed>;

/** The types a relay knows; any other type is ignored. */
export const DAEMON_MESSAGE_TYPES: ReadonlySet<string> = new Set(
  daemonMessage.options.map((option) => option.shape.type.value),
);

/** What operators or the daemon's account say. With an `id` it may come again on another connection, and is shown once. */
export const NOTICE_LEVELS = ["info", "warning", "error"] as const;
const notice = z.object({
  level: z.enum(NOTICE_LEVELS),
  text: z.string(),
  id: text(64).optional(),
});
export type Notice = z.infer<typeof notice>;

const challenge = z.object({
  type: z.literal("challenge"),
  nonce: text(64),
  origin: text(256),
  /** Milliseconds since 1970. */
  expires: count,
});
const welcome = z.object({
  type: z.literal("welcome"),
  session: text(64),
  relay: text(128),
  /** How the relay wants frames to be cut, in milliseconds and tokens. */
  parameters: z.object({
    flush_first_ms: z.int().positive(),
    flush_ms: z.int().positive(),
    flush_tokens: z.int().positive(),
    ping_ms: z.int().positive(),
    /** The most bytes of a pack (packs.ts); absent where the relay takes none. */
    pack_bytes: z.int().positive().optional(),
  }),
  messages: z.array(notice),
});
const job = z.object({
  type: z.literal("job"),
  stream,
  job: jobId,
  fence: count,
  /** Null where the daemon's own account asks for it: that is free, and its claim is settled without a receipt. */
  lane: z.enum(LANES).nullable(),
  model: text(128),
  ticket: text(4_096),
  /** 16 bytes, hex. */
  salt: z.string().regex(/^[0-9a-f]{32}$/),
  /** SHA-256(salt ‖ the consumer's body), to be signed with the claim. */
  request_digest: hash,
  /** Milliseconds since 1970; a stream that still runs then is cut. */
  deadline: count,
  /** An OpenAI chat completion body, checked and with its completion cap; never streamed further than the engine. */
  request: z.record(z.string(), z.unknown()),
});
const cancel = z.object({ type: z.literal("cancel"), stream });
const pause = z.object({ type: z.literal("pause"), stream });
const resume = z.object({ type: z.literal("resume"), stream });
const settled = z.object({
  type: z.literal("settled"),
  job: jobId,
  /** Null for a job of the daemon's own account. */
  receipt: z.object({ seq: count, outcome: z.string() }).nullable(),
});
const refused = z.object({ type: z.literal("refused"), job: jobId, reason: z.string() });
/** A claim came whose stream is not known any more: to be sent again, without the stream and with its ticket. */
const resend = z.object({ type: z.literal("resend"), job: jobId });
const message = notice.extend({ type: z.literal("message") });
const error = z.object({ type: z.literal("error"), code: z.string(), message: z.string() });

export const relayMessage = z.discriminatedUnion("type", [
  challenge,
  welcome,
  job,
  cancel,
  pause,
  resume,
  settled,
  refused,
  resend,
  message,
  error,
]);
export type RelayMessage = z.infer<typeof relayMessage>;
export type Challenge = z.infer<typeof challenge>;
export type Job = z.infer<typeof job>;
export type Welcome = z.infer<typeof welcome>;

/** The bytes that prove a daemon's key: "tollmill/connect/v1\n" + JCS{challenge, daemon, version}. */
export function proofBytes(challenge: Omit<Challenge, "type">, daemon: string, version: number): Uint8Array {
  const { nonce, origin, expires } = challenge;
  return signedBytes(CONNECT_DOMAIN, canonicalText({ challenge: { nonce, origin, expires }, daemon, version }));
}
