/** Secrets for tests only. They are as long as real ones, and no network has ever used them. */
export const testSecrets = {
  NETWORK_SEED: "11".repeat(32),
  EDGE_KEY: "22".repeat(32),
  ADMIN_KEY: "test-admin-key",
};
