import { expect, it } from 'vitest';
import { PRODUCT_VERSION } from './version.ts';

it('is SemVer', () => expect(PRODUCT_VERSION).toMatch(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/));
