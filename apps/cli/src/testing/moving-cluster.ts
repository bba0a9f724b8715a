/** The part of a small cluster that moves replicas: each look at a reassignment brings it on by one move. */
import { PartitaError } from '@partita/domain';
import {
  DiagnoseClusterResponse,
  FindingSeverity,
  Reassignment,
  ReassignmentState,
  SettingSource,
} from '@partita/protocol';
import type { CreateReassignmentRequest, DrainBrokerRequest, UpdateClusterSettingsRequest } from '@partita/protocol';
import { unary } from '@partita/rpc/server';

const MIB = 1024n * 1024n;
const { REASSIGNMENT_STATE_RUNNING: RUNNING, REASSIGNMENT_STATE_SUCCEEDED: SUCCEEDED } = ReassignmentState;
const { REASSIGNMENT_STATE_CANCELLED: CANCELLED } = ReassignmentState;

export class MovingCluster {
  readonly created: CreateReassignmentRequest[] = [];
  readonly drains: DrainBrokerRequest[] = [];
  /** False = a look brings nothing on. */
  stepping = true;
  readonly removed: number[] = [];
  readonly changes: UpdateClusterSettingsRequest[] = [];
  readonly reassignments = new Map<string, Reassignment>();
  /** Replicas left on broker 3; each description of the cluster takes one away. */
  replicasLeft = 2;
  /** What the doctor finds. */
  severities: readonly FindingSeverity[] = [];

  methods() {
    return {
      createReassignment: unary((request: CreateReassignmentRequest) => {
        this.created.push(request);
        if (request.moves.some(({ toBrokerId }) => toBrokerId === 9))
          throw new PartitaError('BROKER_NOT_FOUND', 'there is no broker 9');
        return { reassignment: this.#begin(request.moves, request.validateOnly) };
      }),
      getReassignment: unary(({ reassignmentId }: { reassignmentId: string }) => ({
        reassignment: this.#step(reassignmentId),
      })),
      listReassignments: unary(() => ({ reassignments: [...this.reassignments.values()], nextPageToken: '' })),
      cancelReassignment: unary(({ reassignmentId }: { reassignmentId: string }) => ({
        reassignment: this.#end(reassignmentId, CANCELLED),
      })),
      drainBroker: unary((request: DrainBrokerRequest) => {
        this.drains.push(request);
        const moves = [{ partition: { topic: 't', partition: 0 }, fromBrokerId: 3, toBrokerId: 1 }];
        const moving = request.replicas && !request.cancel;
        return { reassignment: moving ? this.#begin(moves, request.validateOnly) : undefined, leaderMoveCount: 1 };
      }),
      removeBroker: unary(({ brokerId }: { brokerId: number }) => {
        if (brokerId === 1) throw new PartitaError('BROKER_NOT_EMPTY', 'broker 1 cannot be removed: it is running');
        this.removed.push(brokerId);
        return {};
      }),
      rebalanceCluster: unary(({ validateOnly }: { validateOnly: boolean }) => {
        const moves = [
          { partition: { topic: 't', partition: 0 }, fromBrokerId: 1, toBrokerId: 2 },
          { partition: { topic: 't', partition: 1 }, fromBrokerId: 2, toBrokerId: 2 },
        ];
        return { reassignment: this.#begin(moves, validateOnly) };
      }),
      updateClusterSettings: unary((request: UpdateClusterSettingsRequest) => {
        this.changes.push(request);
        const source = SettingSource.SETTING_SOURCE_CLUSTER;
        return {
          settings: [
            { name: 'auto_balance', value: request.autoBalance === false ? 'off' : 'on', source },
            { name: 'draining_broker_ids', value: '3', source },
          ],
        };
      }),
      diagnoseCluster: unary(() => {
        const findings = this.severities.map((severity, index) => ({
          severity,
          code: 'disk-filling',
          subject: `broker ${index + 1}`,
          message: 'is full',
          advice: 'partita broker drain 1',
        }));
        return DiagnoseClusterResponse.fromPartial({ findings, checkCount: 12 });
      }),
    };
  }

  /** Broker 3 as a description shows it. */
  describeBrokers() {
    const replicaCount = this.replicasLeft;
    this.replicasLeft = Math.max(0, this.replicasLeft - 1);
    return [{ broker: { brokerId: 3, address: 'b3:1', rack: 'r', state: 1, version: '1' }, replicaCount, leaderCount: 0 }];
  }

  #begin(moves: Parameters<typeof Reassignment.fromPartial>[0]['moves'], validateOnly: boolean): Reassignment {
    const reassignmentId = validateOnly ? '' : `r${this.reassignments.size + 1}`;
    const begun = Reassignment.fromPartial({ reassignmentId, moves: moves ?? [], state: RUNNING, totalBytes: 3n * MIB });
    for (const move of begun.moves) move.state = RUNNING;
    if (!validateOnly) this.reassignments.set(reassignmentId, begun);
    return begun;
  }

  #step(id: string): Reassignment {
    const known = this.#known(id);
    if (!this.stepping) return known;
    const next = known.moves.find(({ state }) => state === RUNNING);
    if (next !== undefined) next.state = SUCCEEDED;
    known.copiedBytes = known.totalBytes;
    if (known.moves.every(({ state }) => state === SUCCEEDED)) known.state = SUCCEEDED;
    return known;
  }

  #end(id: string, state: ReassignmentState): Reassignment {
    const known = this.#known(id);
    known.state = state;
    for (const move of known.moves) if (move.state === RUNNING) move.state = state;
    return known;
  }

  #known(id: string): Reassignment {
    const known = this.reassignments.get(id);
    if (known === undefined) throw new PartitaError('REASSIGNMENT_NOT_FOUND', `there is no reassignment "${id}"`);
    return known;
  }
}
