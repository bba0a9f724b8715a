/** Where replicas and leaders are, moved on purpose; brokers that go; and what is wrong with the cluster. */
import { PAGE_SIZE_MAX } from '@partita/domain';
import { ClusterServiceService } from '@partita/protocol';
import type {
  DiagnoseClusterResponse,
  DrainBrokerResponse,
  EffectiveSetting,
  PartitionRef,
  Reassignment,
} from '@partita/protocol';
import { ReassignmentState } from '@partita/protocol';
import { refused } from './client-error.ts';
import { GroupAdmin } from './group-admin.ts';
import { JITTER } from './jitter.ts';
import type { ServiceCallOptions, ServiceCalls } from './service-calls.ts';

/** One replica goes from a broker to another. */
export interface WantedMove {
  readonly partition: PartitionRef;
  readonly fromBrokerId: number;
  /** The same as `fromBrokerId`: it becomes the preferred leader. */
  readonly toBrokerId: number;
}

export interface DrainOptions {
  /** False: only its leaderships move. Default true. */
  readonly replicas?: boolean | undefined;
  /** True: ends the draining. */
  readonly cancel?: boolean | undefined;
  /** True: tells what would move and moves nothing. */
  readonly validateOnly?: boolean | undefined;
}

/** Settings of the cluster to change; absent ones stay. */
export interface ClusterSettingsChange {
  readonly autoBalance?: boolean | undefined;
  /** At least 1 MiB. */
  readonly moveBytesPerSecond?: bigint | undefined;
}

export class BalanceAdmin extends GroupAdmin {
  readonly #services: ServiceCalls;

  constructor(calls: ServiceCalls) {
    super(calls);
    this.#services = calls;
  }

  /** Begins to move replicas. Rejects with NOT_ENOUGH_BROKERS, REPLICA_NOT_FOUND, REASSIGNMENT_UNDER_WAY, … */
  async createReassignment(
    moves: readonly WantedMove[],
    validateOnly = false,
    options?: ServiceCallOptions,
  ): Promise<Reassignment> {
    const state = ReassignmentState.REASSIGNMENT_STATE_UNSPECIFIED;
    const request = {
      moves: moves.map((move) => ({ ...move, state, errorReason: '' })),
      validateOnly,
      requestId: JITTER.uuid(),
    };
    const answer = await this.#services.call('coordinator', ClusterServiceService.createReassignment, request, options);
    return told(answer.reassignment);
  }

  /** Rejects with REASSIGNMENT_NOT_FOUND. */
  async getReassignment(reassignmentId: string, options?: ServiceCallOptions): Promise<Reassignment> {
    const method = ClusterServiceService.getReassignment;
    return told((await this.#services.call('coordinator', method, { reassignmentId }, options)).reassignment);
  }

  /** Newest first, page by page. */
  async *listReassignments(): AsyncGenerator<Reassignment, void, undefined> {
    for (let pageToken = ''; ;) {
      const request = { pageSize: PAGE_SIZE_MAX, pageToken };
      const page = await this.#services.call('coordinator', ClusterServiceService.listReassignments, request);
      yield* page.reassignments;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  /** Stops it after the step under way. Rejects with REASSIGNMENT_NOT_FOUND. */
  async cancelReassignment(reassignmentId: string, options?: ServiceCallOptions): Promise<Reassignment> {
    const method = ClusterServiceService.cancelReassignment;
    return told((await this.#services.call('coordinator', method, { reassignmentId }, options)).reassignment);
  }

  /** Begins to empty a broker, or ends that. Rejects with BROKER_NOT_FOUND, NOT_ENOUGH_BROKERS. */
  drainBroker(brokerId: number, drain: DrainOptions = {}, options?: ServiceCallOptions): Promise<DrainBrokerResponse> {
    const { replicas = true, cancel = false, validateOnly = false } = drain;
    const request = { brokerId, replicas, cancel, validateOnly };
    return this.#services.call('coordinator', ClusterServiceService.drainBroker, request, options);
  }

  /** Forgets a broker that is down and empty. Rejects with BROKER_NOT_FOUND, BROKER_NOT_EMPTY. */
  async removeBroker(brokerId: number, options?: ServiceCallOptions): Promise<void> {
    await this.#services.call('coordinator', ClusterServiceService.removeBroker, { brokerId }, options);
  }

  /** Evens out replicas and leaders. Without an id nothing has begun: all is even, or it was only asked. */
  async rebalanceCluster(validateOnly = false, options?: ServiceCallOptions): Promise<Reassignment> {
    const method = ClusterServiceService.rebalanceCluster;
    return told((await this.#services.call('coordinator', method, { validateOnly }, options)).reassignment);
  }

  /** Settings of the cluster as they hold after the change, which may be empty. Rejects with INVALID_SETTING. */
  async updateClusterSettings(
    change: ClusterSettingsChange,
    options?: ServiceCallOptions,
  ): Promise<EffectiveSetting[]> {
    const { autoBalance, moveBytesPerSecond } = change;
    const request = { topicDefaults: undefined, autoBalance, moveBytesPerSecond };
    const method = ClusterServiceService.updateClusterSettings;
    return (await this.#services.call('coordinator', method, request, options)).settings;
  }

  /** What is wrong, worst first. */
  diagnoseCluster(options?: ServiceCallOptions): Promise<DiagnoseClusterResponse> {
    return this.#services.call('coordinator', ClusterServiceService.diagnoseCluster, {}, options);
  }
}

function told(reassignment: Reassignment | undefined): Reassignment {
  if (reassignment !== undefined) return reassignment;
  throw refused('INTERNAL', 'the coordinator answered without the reassignment');
}
