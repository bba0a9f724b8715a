/** W3C trace context as text; brokers and gateways use the same. */
export { activeParent, contextOf, sampledParent, traceparentOf } from '@partita/rpc';
