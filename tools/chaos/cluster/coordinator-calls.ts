/** Calls to whichever coordinator answers, again and again while nobody does: each passes on to the active one. */
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { until } from '@partita/tool-dev/until.ts';
import type { ChaosCluster } from './chaos-cluster.ts';

const ANSWER_MS_MAX = 5000;

/** The request is safe to repeat. Rejects with the last failure when the time is up. */
export async function askCoordinators<Request, Response>(
  cluster: ChaosCluster,
  method: Parameters<typeof callUnary<Request, Response>>[1],
  { request, secondsMax }: { readonly request: Request; readonly secondsMax: number },
): Promise<Response> {
  const pool = new ChannelPool({ clientId: 'chaos' });
  let turn = 0;
  try {
    const [answer] = await until('an answer of a coordinator', secondsMax, async () => {
      const { coordinators } = cluster.file;
      turn += 1;
      const client = pool.client(coordinators[turn % coordinators.length] ?? '');
      return [await callUnary(client, method, request, { deadlineMs: ANSWER_MS_MAX })] as const;
    });
    return answer;
  } finally {
    pool.close();
  }
}
