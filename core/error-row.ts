/** What a row of the table of errors says (core/errors.ts). */

type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "not_found_error"
  | "insufficient_quota"
  | "rate_limit_error"
  | "conflict_error"
  | "server_error";

export interface ErrorRow {
  readonly status: 400 | 401 | 402 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 422 | 426 | 429 | 500 | 502 | 503 | 504;
  readonly type: ErrorType;
  readonly title: string;
  readonly fix: string;
}

/** Makes a row of a table of errors. */
export const row = (status: ErrorRow["status"], type: ErrorType, title: string, fix: string): ErrorRow => ({
  status,
  type,
  title,
  fix,
});
