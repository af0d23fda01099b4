// Calls with the connections of Thrift's own library, by framed TCP and HTTP: nothing here knows AMQP.

'use strict';

const http = require('node:http');
const thrift = require('thrift');

const PATIENCE = 20000; // milliseconds
const HOST = '127.0.0.1';

// One connection for all calls: a call that fails leaves it in an unknown state, so the next call gets another one.
class Stock {
  constructor({ door, port, protocol }) {
    this._open = { framed: () => this._openFramed(port, protocol), http: () => this._openHttp(port, protocol) }[door];
    this._clientOf = null;
  }

  _openFramed(port, protocol) {
    const connection = thrift.createConnection(HOST, port, { transport: thrift.TFramedTransport, protocol });
    const multiplexer = new thrift.Multiplexer();
    this._close = () => connection.destroy();
    return (Service, service) => [connection, multiplexer.createClient(service, Service, connection)];
  }

  _openHttp(port, protocol) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 }); // so requests follow each other
    this._close = () => agent.destroy();
    return (Service, service) => {
      const options = { transport: thrift.TBufferedTransport, protocol, path: `/${service}`, nodeOptions: { agent } };
      const connection = thrift.createHttpConnection(HOST, port, options);
      return [connection, thrift.createHttpClient(Service, connection)];
    };
  }

  async call(Service, service, method, values) {
    this._clientOf ??= this._open();
    const [connection, client] = this._clientOf(Service, service);
    let timer;
    const broken = new Promise((_, reject) => {
      connection.removeAllListeners('error');
      connection.on('error', reject);
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE} ms`)), PATIENCE);
    });
    try {
      return await Promise.race([client[method](...values), broken]);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  close() {
    if (this._clientOf !== null) this._close();
    this._clientOf = null;
  }
}

module.exports = { Stock };
