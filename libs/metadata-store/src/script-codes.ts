/** What a script answers first. Named here only: the loader hands the names to Lua as the table `CODE`. */
export const SCRIPT_CODES = {
  OK: 0,
  UNCHANGED: 1,
  LEASE_LOST: 2,
  ROLLED_BACK: 3,
  WRONG_CLUSTER: 4,
  NAME_TAKEN: 5,
  TOPIC_MISSING: 6,
  TOPIC_DELETED: 7,
  STALE: 8,
  HELD: 9,
} as const;
