import { beforeEach, describe, expect, it } from 'vitest';
import { LEASE_TRUST_MS, LeaseState } from './lease-state.ts';

let lease: LeaseState;

beforeEach(() => {
  lease = new LeaseState();
});

describe('a coordinator', () => {
  it('is standby until somebody tells who holds the lease', () => {
    expect(lease.status(0)).toBe('standby');
  });

  it('is active for as long as it trusts its lease, counted from when it asked', () => {
    lease.held(1, 100);
    expect(lease.status(100 + LEASE_TRUST_MS - 1)).toBe('active');
    expect(lease.status(100 + LEASE_TRUST_MS)).toBe('standby');
    lease.held(1, 2100);
    expect(lease.status(2100 + LEASE_TRUST_MS - 1)).toBe('active');
  });

  it('stops at once when another holds the lease, and knows where to send calls', () => {
    lease.held(1, 0);
    lease.heldByOther({ run: 'b', url: 'host:1' });
    expect(lease.status(1)).toBe('standby');
    expect(lease.otherHolder()?.url).toBe('host:1');
  });

  it('goes on unanchored when the store falls silent while it holds the lease', () => {
    lease.held(1, 0);
    lease.storeSilent(1000);
    expect(lease.status(2000)).toBe('active');
    expect(lease.status(LEASE_TRUST_MS)).toBe('unanchored');
    lease.held(2, 9000);
    expect(lease.status(9001)).toBe('active');
  });

  it('leaves the ordering to another holder for as long as that one may trust its lease', () => {
    lease.heldByOther({ run: 'b', url: 'host:1' });
    lease.storeSilent(1000);
    expect(lease.status(1000 + LEASE_TRUST_MS - 1)).toBe('standby');
    expect(lease.status(1000 + LEASE_TRUST_MS)).toBe('unanchored');
  });

  it('is unanchored, after a while, when the store was never there', () => {
    lease.storeSilent(0);
    expect(lease.status(1)).toBe('standby');
    expect(lease.status(LEASE_TRUST_MS)).toBe('unanchored');
  });

  it('is suspect from when the store has lost writes until it is written anew', () => {
    lease.held(1, 0);
    lease.storeLostWrites();
    expect(lease.status(1)).toBe('suspect');
    lease.storeRestored();
    expect(lease.status(1)).toBe('active');
  });

  it('is standby once it has given the lease back', () => {
    lease.held(1, 0);
    lease.released();
    expect(lease.status(1)).toBe('standby');
  });
});
