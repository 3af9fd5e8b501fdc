import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.strategies.RoundRobinStrategy;

import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * Load balancing on the client's side: each request goes to the next of the living instances.
 *
 * <p>Curator's ServiceProvider keeps the list of instances in memory and is told of every change,
 * so choosing one costs no request to the server. An instance that reports trouble is passed over
 * for a while; one that ends is no longer on the list.
 */
public class LoadBalancing {
    private static final int INSTANCES = 3;

    private static ServiceInstance<Void> instance(int port) throws Exception {
        return ServiceInstance.<Void>builder()
                .name("search")
                .address("127.0.0.1")
                .port(port)
                .build();
    }

    private static void await(ServiceProvider<Void> provider, int count) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(15);
        while (provider.getAllInstances().size() != count) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("never saw " + count + " instances");
            }
            TimeUnit.MILLISECONDS.sleep(10);
        }
    }

    private static TreeMap<Integer, Integer> send(ServiceProvider<Void> provider, int requests)
            throws Exception {
        TreeMap<Integer, Integer> served = new TreeMap<>();
        for (int i = 0; i < requests; i++) {
            served.merge(provider.getInstance().getPort(), 1, Integer::sum);
        }
        return served;
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework client =
                CuratorFrameworkFactory.newClient(
                        System.getenv("ZK_HOSTPORT"), new ExponentialBackoffRetry(100, 5));
        client.start();
        ServiceDiscovery<Void> discovery =
                ServiceDiscoveryBuilder.builder(Void.class)
                        .client(client)
                        .basePath("/examples/balanced")
                        .build();
        discovery.start();
        ServiceInstance<Void> last = null;
        for (int port = 9001; port < 9001 + INSTANCES; port++) {
            last = instance(port);
            discovery.registerService(last);
        }
        ServiceProvider<Void> provider =
                discovery
                        .serviceProviderBuilder()
                        .serviceName("search")
                        .providerStrategy(new RoundRobinStrategy<>())
                        .build();
        provider.start();
        await(provider, INSTANCES);

        TreeMap<Integer, Integer> served = send(provider, 30);
        System.out.println("requests by port: " + served);
        if (!served.toString().equals("{9001=10, 9002=10, 9003=10}")) {
            throw new AssertionError("not shared evenly");
        }

        discovery.unregisterService(last);
        await(provider, INSTANCES - 1);
        served = send(provider, 30);
        System.out.println("and with one fewer: " + served);
        if (!served.toString().equals("{9001=15, 9002=15}")) {
            throw new AssertionError("not shared evenly by the two that are left");
        }
        provider.close();
        discovery.close();
        client.close();
    }
}
