/** What every command is given. */

import { readAdminSettings, readSettings, type Settings } from "../network/settings.ts";
import type { Terminal } from "../output/terminal.ts";

export interface GlobalFlags {
  readonly url?: string;
  readonly apiKey?: string;
  readonly json?: boolean;
}

/** Flags of operators' commands. */
export interface AdminFlags extends GlobalFlags {
  readonly key?: string;
}

export interface Context {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The current folder. */
  readonly folder: string;
  readonly readStdin: () => Promise<string>;
}

export function settingsOf(context: Context, flags: GlobalFlags): Promise<Settings> {
  return readSettings({ flags, env: context.env, folder: context.folder });
}

export function adminSettingsOf(context: Context, flags: AdminFlags): Promise<Settings> {
  return readAdminSettings({ flags, env: context.env, folder: context.folder });
}
