// @ts-check
// Rules for the JavaScript of web/ and tests/web/ that find mistakes. The look of code is not checked.

import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import globals from 'globals';
import tseslint from 'typescript-eslint';

export default defineConfig(
  {
    files: ['web/**/*.js', 'tests/web/**/*.{js,ts}'],
    extends: [js.configs.recommended, tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-misleading-character-class': ['error', { allowEscape: true }],
      'no-var': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/no-deprecated': 'error',
      // An interface may ask for a promise, and `async` turns what is thrown into a rejection.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    // The globals of workers, and WebRTC: the library knows no `document` and no `window`.
    files: ['web/client/**/*.js'],
    languageOptions: {
      globals: { ...globals['shared-node-browser'], ...globals.worker, RTCPeerConnection: 'readonly' },
    },
  },
  { files: ['web/page/**/*.js'], languageOptions: { globals: globals.browser } },
  {
    files: ['tests/web/**/*.js'],
    languageOptions: { globals: { ...globals.node, ...globals['shared-node-browser'] } },
    rules: {
      // The runner itself waits for a test.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', name: 'test', package: 'node:test' }] },
      ],
      // The vectors are JSON, and stand-ins are handed to code that wants the browser's objects.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    files: ['tests/web/{crypto_check,firefox_probe}.js'],
    languageOptions: { globals: globals.browser },
  },
);
