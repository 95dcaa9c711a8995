/**
 * The one table of errors. A code is never reused or renamed: programs match on it. `status` and `type` are what the
 * HTTP dialects show (protocol/errors.ts maps them to the wire), `fix` tells the reader what to do next.
 */

import { row } from "./error-row.ts";
import { NETWORK_ERRORS } from "./network-errors.ts";
import { SIGN_IN_ERRORS } from "./sign-in-errors.ts";
import { X402_ERRORS } from "./x402-errors.ts";

const BAD = "invalid_request_error";

export const ERRORS = {
  // What was sent.
  invalid_json: row(
    400,
    BAD,
    "The body is not valid JSON.",
    "Send one JSON object with content-type application/json.",
  ),
  invalid_request: row(400, BAD, "A parameter is missing or malformed.", "Correct the parameter that `param` names."),
  unsupported_parameter: row(
    400,
    BAD,
    "No provider of this model supports a parameter of the request.",
    "Leave the parameter that `param` names out, or choose another model: GET /v1/models lists supported_parameters.",
  ),
  context_length_exceeded: row(
    400,
    BAD,
    "The prompt and the completion do not fit the model's context.",
    "Shorten the messages or lower max_completion_tokens.",
  ),
  lane_unavailable: row(
    400,
    BAD,
    "This account cannot use that lane.",
    "Leave `lane` out to let the network choose, or see the model's lanes in GET /v1/models.",
  ),
  request_too_large: row(413, BAD, "The body is too large.", "Send fewer or smaller messages or images."),
  unsupported_media_type: row(415, BAD, "The body is not JSON.", "Send content-type application/json."),
  upgrade_required: row(426, BAD, "This path is a WebSocket.", "Connect with the header `Upgrade: websocket`."),
  method_not_allowed: row(405, BAD, "This path does not know that method.", "See /docs for the methods of each path."),
  not_found: row(404, "not_found_error", "There is nothing here.", "See /docs for the paths that exist."),
  model_not_found: row(404, "not_found_error", "The model does not exist.", "Choose one from GET /v1/models."),
  job_not_found: row(
    404,
    "not_found_error",
    "This account has no such job.",
    "Check the id: it is the x-job-id header of the answer.",
  ),
  receipt_not_found: row(
    404,
    "not_found_error",
    "There is no receipt for that job.",
    "A job leaves a receipt when it has ended; GET /api/v1/jobs/{id} tells its state.",
  ),
  auction_not_found: row(
    404,
    "not_found_error",
    "There is no record of an auction for that job.",
    "Only jobs of the public lane have one, once their receipt is in the log; the receipt itself says what was asked.",
  ),
  daemon_not_found: row(404, "not_found_error", "This account has no such daemon.", "GET /api/v1/daemons lists yours."),
  key_not_found: row(404, "not_found_error", "This account has no such key.", "GET /api/v1/keys lists yours."),
  member_not_found: row(404, "not_found_error", "This account has no such member.", "GET /api/v1/team lists yours."),
  invite_not_found: row(
    404,
    "not_found_error",
    "This account has no such invite.",
    "GET /api/v1/team/invites lists yours.",
  ),
  account_not_found: row(404, "not_found_error", "There is no such account.", "Check the account id."),
  deposit_not_found: row(404, "not_found_error", "There is no such deposit.", "GET /api/v1/deposits lists yours."),
  resolution_not_found: row(
    404,
    "not_found_error",
    "There is no such proposal for a deposit.",
    "GET /api/v1/admin/deposit-resolutions lists them.",
  ),
  reversal_not_found: row(
    404,
    "not_found_error",
    "There is no such proposal of a reversal.",
    "GET /api/v1/admin/reversals lists them.",
  ),
  message_not_found: row(404, "not_found_error", "There is no such message.", "GET /api/v1/admin/messages lists them."),
  probe_not_found: row(
    404,
    "not_found_error",
    "The model has no such probe.",
    "GET /api/v1/admin/models/{id}/probes lists them.",
  ),
  dead_letter_not_found: row(
    404,
    "not_found_error",
    "There is no such dead letter.",
    "GET /api/v1/admin/dead-letters lists those that are open.",
  ),

  // Who asked.
  missing_api_key: row(
    401,
    "authentication_error",
    "No API key was sent.",
    "Send the header `Authorization: Bearer tm_…`.",
  ),
  invalid_api_key: row(
    401,
    "authentication_error",
    "The API key or access token is not valid.",
    "Check that the key was copied whole and has not been revoked; a session's token is refreshed, or you sign in again.",
  ),
  key_expired: row(
    401,
    "authentication_error",
    "The API key has expired.",
    "Make a new key, or rotate this one in time.",
  ),
  invalid_invite: row(
    401,
    "authentication_error",
    "The invite is not valid.",
    "Check that it was copied whole, or ask who gave it to you for a new one.",
  ),
  invite_expired: row(401, "authentication_error", "The invite has expired.", "Ask who gave it to you for a new one."),
  role_forbids: row(
    403,
    "permission_error",
    "The member's role does not allow this.",
    "Ask an owner of the account: GET /api/v1/team lists them.",
  ),
  forbidden: row(403, "permission_error", "The key may not do this.", "Use a key of the account or role that may."),

  second_operator_needed: row(
    403,
    "permission_error",
    "A reversal needs another operator than the one who proposed it.",
    "Let another operator approve it: the secret ADMIN_KEY names them, as entries `name:key`.",
  ),

  // Money.
  insufficient_credits: row(
    402,
    "insufficient_quota",
    "The balance does not cover this request.",
    "Top up, lower max_completion_tokens, or wait for `refresh_at`.",
  ),
  below_minimum_balance: row(
    402,
    "insufficient_quota",
    "The balance is below the minimum for remote inference.",
    "Top up, or use local inference or a device of your own: both are free.",
  ),
  budget_exceeded: row(
    402,
    "insufficient_quota",
    "The key's budget does not carry this request.",
    "Wait for `reset_at`, use another key, or raise the key's budget.",
  ),
  nothing_to_reverse: row(
    409,
    "conflict_error",
    "The job has no receipt that charged anything.",
    "Only a charge can be taken back: GET /api/v1/jobs/{id} tells how the job ended.",
  ),
  already_reversed: row(
    409,
    "conflict_error",
    "The job's receipt was taken back before.",
    "Nothing is left to do: a receipt is taken back whole and once.",
  ),
  reversal_closed: row(
    409,
    "conflict_error",
    "The proposal is not open any more.",
    "GET /api/v1/admin/reversals/{id} tells how it ended; propose the reversal anew under another id if it is still due.",
  ),
  transfer_to_self: row(
    400,
    BAD,
    "Credits cannot be sent to the account that they are in.",
    "Name another account in `to`.",
  ),
  deposits_unavailable: row(
    503,
    "server_error",
    "This network takes no deposits.",
    "Its operators set SOLANA_RPC_URL.",
  ),
  deposit_limit: row(
    409,
    "conflict_error",
    "The account has as many open deposits as it may.",
    "Pay one of them first.",
  ),
  deposit_settled: row(409, "conflict_error", "The deposit is not in suspense.", "Nothing is left to decide about it."),
  resolution_closed: row(
    409,
    "conflict_error",
    "The proposal is not open any more.",
    "GET /api/v1/admin/deposit-resolutions tells how it ended; make a new one under another id if it is still due.",
  ),
  lot_limit: row(409, "conflict_error", "The account holds as many lots as it may.", "Spend some of them first."),

  // Twice, or too much.
  in_progress: row(
    409,
    "conflict_error",
    "A request with this Idempotency-Key is still running.",
    "Wait for it to end; GET /api/v1/jobs/{id} tells its state.",
  ),
  already_completed: row(
    409,
    "conflict_error",
    "A request with this Idempotency-Key has already been answered.",
    "Answers are not stored; its receipt is in `metadata`. Use a new key to ask again.",
  ),
  idempotency_mismatch: row(
    422,
    BAD,
    "This Idempotency-Key was used with another body.",
    "Use a new key for a new request.",
  ),
  id_conflict: row(409, "conflict_error", "This id was used for something else.", "Make a new id for a new request."),
  concurrency_limit: row(
    429,
    "rate_limit_error",
    "The account has as many jobs open as it may.",
    "Wait until one of them ends.",
  ),
  rate_limited: row(
    429,
    "rate_limit_error",
    "Too many requests in a short time.",
    "Wait for Retry-After, or spread the requests.",
  ),
  queue_full: row(429, "rate_limit_error", "Too many jobs wait for this model.", "Try again after Retry-After."),

  watcher_limit: row(
    429,
    "rate_limit_error",
    "The account's balance has as many live connections as it may.",
    "Close one that is not needed.",
  ),
  watcher_too_slow: row(
    429,
    "rate_limit_error",
    "The live connection was not read, or its messages were not acknowledged.",
    "Answer each message that has `ack`, then connect again with the id of the last message.",
  ),

  key_limit: row(409, "conflict_error", "The account has as many keys as it may.", "Revoke one that is not used."),

  // The team.
  last_owner: row(
    409,
    "conflict_error",
    "The account's last owner can neither leave nor take a lower role.",
    "Make another member an owner first.",
  ),
  invite_used: row(409, "conflict_error", "The invite has been used up.", "Ask who gave it to you for a new one."),
  member_limit: row(409, "conflict_error", "The account has as many members as it may.", "Remove one first."),
  invite_limit: row(409, "conflict_error", "The account has as many open invites as it may.", "Revoke one first."),

  ...SIGN_IN_ERRORS,
  ...NETWORK_ERRORS,
  ...X402_ERRORS,

  // Supply.
  no_provider: row(
    503,
    "server_error",
    "No provider serves this model at the moment.",
    "Try again after Retry-After, or choose another model.",
  ),
  no_bid: row(
    503,
    "server_error",
    "No provider serves this model at the price of this request.",
    "Raise provider.max_price to `lowest_ask` if you set one below it; otherwise try again when cheaper providers are there.",
  ),
  queue_timeout: row(
    503,
    "server_error",
    "The job waited longer than its lane allows.",
    "Try again after Retry-After.",
  ),
  first_token_timeout: row(
    504,
    "server_error",
    "No provider produced a first token in time.",
    "Nothing was charged. Try again.",
  ),
  provider_failed: row(
    502,
    "server_error",
    "The provider failed to answer.",
    "Nothing was charged. Try again: another provider will be asked.",
  ),
  stream_interrupted: row(
    502,
    "server_error",
    "The provider went away in the middle of the answer.",
    "Nothing was charged. Try again.",
  ),
  verification_failed: row(
    502,
    "server_error",
    "The provider's claim did not match what it sent.",
    "Nothing was charged. Try again.",
  ),
  cancelled: row(409, "conflict_error", "The job was cancelled.", "Send it again if you still want an answer."),
  job_expired: row(
    504,
    "server_error",
    "The job's reservation ran out before it ended.",
    "Nothing was charged. Try again.",
  ),
  internal_error: row(
    500,
    "server_error",
    "Something broke on our side.",
    "Try again; report x-request-id if it stays.",
  ),

  // Daemons.
  unknown_version: row(400, BAD, "This protocol version is not spoken here.", "Update the daemon."),
  unexpected_message: row(
    400,
    BAD,
    "This message does not belong here.",
    "See docs/protocol.md for the order of messages.",
  ),
  malformed_frame: row(400, BAD, "The binary frame is malformed.", "See docs/protocol.md for the layout of frames."),
  too_many_bad_messages: row(400, BAD, "Too many bad messages.", "Correct the daemon, then reconnect."),
  challenge_failed: row(
    401,
    "authentication_error",
    "The proof does not answer the challenge.",
    "Sign the challenge with the key you enrolled, within its expiry.",
  ),
  daemon_not_enrolled: row(
    403,
    "permission_error",
    "This daemon's key is not enrolled.",
    "POST /api/v1/daemons with an API key of the providing account.",
  ),
  weak_public_key: row(
    400,
    BAD,
    "The public key is not a valid Ed25519 key.",
    "Make a new key: it must be canonical and not of small order.",
  ),
  replaced: row(409, "conflict_error", "The same daemon connected again.", "Run one process per daemon key."),
  invalid_ticket: row(400, BAD, "The ticket is not one of this network's.", "Drop the claim."),
  claim_refused: row(409, "conflict_error", "The claim came for a job that is not open.", "Drop the claim."),
} as const satisfies Record<string, ReturnType<typeof row>>;

export type ErrorCode = keyof typeof ERRORS;

/** A refusal as a value: what is wrong, where, and what to do. */
export interface Refusal {
  readonly code: ErrorCode;
  /** One or two sentences for the reader; starts from the table's title unless something more exact is known. */
  readonly message: string;
  /** The parameter that is at fault, as a path such as `messages[0].content`. */
  readonly param?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Makes a refusal; `detail` goes before what the table says to do. */
export function refuse(
  code: ErrorCode,
  options: { detail?: string; param?: string; metadata?: Record<string, unknown> } = {},
): Refusal {
  const { title, fix } = ERRORS[code];
  return {
    code,
    message: `${options.detail ?? title} ${fix}`,
    ...(options.param === undefined ? {} : { param: options.param }),
    ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
  };
}

/** Whether a text is a code of the table (codes arrive as text from daemons and between objects). */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}
